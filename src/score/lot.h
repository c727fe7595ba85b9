/* lot.h - some rows that one thread takes all the way: decoded, run through the model, answered. */
#ifndef TENREC_SCORE_LOT_H
#define TENREC_SCORE_LOT_H

#include <stdatomic.h>

#include "score/sample.h"

struct session;

enum lot_state { LOT_OPEN, LOT_READY, LOT_TAKEN, LOT_DONE }; /* the pipeline's affair */
struct lot {
    struct arena arena; /* of the rows and the answers */
    struct sample *samples;
    size_t n;
    enum lot_state state;
    bool dropped;     /* nobody will answer it */
    struct err fatal; /* why the job cannot go on */
};

/* What a lot is run with; the session and the arena belong to the thread. */
struct runner {
    struct model *model;
    struct session *session;
    int batch, threads;
    bool outputs, seen;    /* wanted by whoever takes the answers */
    struct arena scratch;  /* inputs and what becomes of them, for one lot */
};

/* Sets each sample's answers, or its `bad`. What is no row's fault is returned: ERR_NOMEM, ERR_USAGE, ERR_CANCELLED ...
 */
int lot_run(struct lot *l, struct runner *r, struct err *e);
/* As if it had never been run: another thread may. */
void lot_undo(struct lot *l);

#endif
