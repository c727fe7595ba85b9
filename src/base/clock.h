/* clock.h - monotonic seconds, for profiles and progress only; no result ever depends on time. */
#ifndef TENREC_BASE_CLOCK_H
#define TENREC_BASE_CLOCK_H

double clock_now(void);

#endif
