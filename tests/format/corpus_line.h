/* corpus_line.h - the line a test prints for each file of other people, which `make matrix` gathers into a table. */
#ifndef TENREC_TESTS_FORMAT_CORPUS_LINE_H
#define TENREC_TESTS_FORMAT_CORPUS_LINE_H

#include <stdio.h>
#include <string.h>

/* `what`: "right", "weights" (every tensor read), "parsed" (shapes inferred), "refused", "left out" or "WRONG"; the
 * last three with a reason. `worst` counts where the file was run; negative: it was not. */
static inline void corpus_line(const char *format, const char *name, const char *what, double worst, const char *why)
{
    printf("# corpus\t%s\t%s\t%s\t%.2g\t", format, name, what, worst);
    for (int i = 0; why[i] && i < 400; i++) putchar(why[i] == '\n' ? ' ' : why[i]);
    putchar('\n');
}

#endif
