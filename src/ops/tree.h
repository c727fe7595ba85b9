/* tree.h - how the tables of the operator Trees are laid out. */
#ifndef TENREC_OPS_TREE_H
#define TENREC_OPS_TREE_H

/* A row of the nodes: which feature is compared, how, and the rows of the two children, which come later; of a leaf:
 * its first weight and the one after its last. */
enum { TREE_FEATURE, TREE_MODE, TREE_YES, TREE_NO, TREE_COLUMNS };
enum tree_mode { TREE_LEQ, TREE_LT, TREE_GTE, TREE_GT, TREE_EQ, TREE_NEQ, TREE_LEAF };
enum { TREE_MISSING = 8 }; /* added to the mode: NaN goes to `yes` */

#endif
