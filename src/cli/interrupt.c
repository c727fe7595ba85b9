/* interrupt.c - noting signals. */
#include "cli/interrupt.h"

#include <signal.h>

static volatile sig_atomic_t came; /* a signal handler has no other way to tell */

static void note(int number)
{
    came = number;
}

void interrupt_catch(void)
{
    /* no SA_RESTART: waiting for input ends; SA_RESETHAND: the second signal acts as usual */
    struct sigaction action = { .sa_handler = note, .sa_flags = (int)SA_RESETHAND };
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

int interrupt_signal(void)
{
    return came;
}
