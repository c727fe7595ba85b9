/* openmp.h - the entry points of OpenMP (libgomp's GOMP_4.0) that openmp.c serves; GCC's code and oneDNN call them. */
#ifndef TENREC_CLI_OPENMP_H
#define TENREC_CLI_OPENMP_H

#pragma GCC visibility push(default) /* oneDNN finds them in the program before it finds libgomp's */
int omp_get_max_threads(void);
int omp_get_num_threads(void);
int omp_get_thread_num(void);
int omp_in_parallel(void);
void omp_set_num_threads(int n);
void GOMP_barrier(void);
/* fn(data) on n threads, 0: as many as there may be, each with a number of its own; returns when all are done. */
void GOMP_parallel(void (*fn)(void *), void *data, unsigned n, unsigned flags);
#pragma GCC visibility pop

#endif
