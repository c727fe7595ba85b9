/* interrupt.h - Ctrl-C and kill: the first one asks the command to finish what it has, the second one ends it. */
#ifndef TENREC_CLI_INTERRUPT_H
#define TENREC_CLI_INTERRUPT_H

void interrupt_catch(void); /* from now on SIGINT and SIGTERM are noted */
int interrupt_signal(void); /* the signal that came; 0: none */

#endif
