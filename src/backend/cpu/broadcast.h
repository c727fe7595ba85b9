/* broadcast.h - element-wise functions of two and three tensors with broadcasting: the table of those of our own. */
#ifndef TENREC_BACKEND_CPU_BROADCAST_H
#define TENREC_BACKEND_CPU_BROADCAST_H

#include "backend/cpu/cpu.h"

#define COMPARE_LIST(X) X(Less, <) X(LessOrEqual, <=) X(Greater, >) X(GreaterOrEqual, >=) X(Equal, ==)
#define LOGIC_LIST(X) X(And, &) X(Or, |) X(Xor, ^)
/* Those that oneDNN refuses: both operands broadcast, or the first. */
#define ARITHMETIC_LIST(X) X(Add, +) X(Sub, -) X(Mul, *) X(Div, /)

bool broadcast_accepts(const struct step *s, struct str *why);
int broadcast_run(const struct step *s, struct err *e);

#endif
