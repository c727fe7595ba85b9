/* text.h - what operators on texts share. */
#ifndef TENREC_OPS_TEXT_H
#define TENREC_OPS_TEXT_H

#include <regex.h>
#include <stdbool.h>

struct arena;
struct err;
struct node;
struct shape;
struct step;
struct string_element;

/* Whether input i is of texts. */
int text_wanted(const struct node *n, int i, struct err *e);
/* Output i, of texts that lie in scratch. */
int text_give(
    const struct step *s, int i, const struct shape *shape, const struct string_element *texts, struct err *e);
/* A pattern in RE2's syntax that matches all of a text (whole: yes or no only), or its longest part. regfree() it. */
int text_compile(regex_t *to, const char *pattern, bool whole, struct arena *scratch, struct err *e);

#endif
