/* clones.h - loops that compilers turn into vectors, for the instructions that the processor has. */
#ifndef TENREC_BASE_CLONES_H
#define TENREC_BASE_CLONES_H

/* A function compiled for several instruction sets, the best of which is chosen when the program starts. All give the
 * same bits: nothing in it is contracted or summed in another order. */
#if defined __x86_64__ && defined __GNUC__ && !defined __clang__
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif
/* In front of a loop: no turn of it reads or writes what another one writes. */
#if defined __clang__
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif
#define INLINE static inline __attribute__((always_inline))

#endif
