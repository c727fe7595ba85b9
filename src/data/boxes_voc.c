/* boxes_voc.c - reads annotations of Pascal VOC (Everingham et al. 2010, development kit): objects with their boxes. */
#include "data/boxes_voc.h"

#include <expat.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/str.h"

enum { DEEP = 16, LONG = 4096 };

struct voc_reader {
    struct voc_file *out;
    struct arena *arena;
    size_t cap;
    struct err *err;
    const char *where;
    XML_Parser parser;
    char path[DEEP][24]; /* names of the open elements, cut */
    int depth;
    char text[LONG];
    size_t len;
    bool annotation;
    unsigned seen; /* of the object: bits of the four sides and the name */
};

/* Entities of its own could make a small file a large one; VOC has none. */
static void no_entities(void *data, const XML_Char *name, int parameter, const XML_Char *value, int len,
    const XML_Char *base, const XML_Char *system, const XML_Char *public, const XML_Char *notation)
{
    struct voc_reader *r = data;
    (void)parameter, (void)value, (void)len, (void)base, (void)system, (void)public, (void)notation;
    if (!r->err->code) fail(r->err, ERR_DATA, "%s: defines the entity %.40s: refused", r->where, name);
    XML_StopParser(r->parser, XML_FALSE);
}

static bool is_at(const struct voc_reader *r, const char *parent, int depth)
{
    return r->depth == depth && !strcmp(r->path[depth - 2], parent);
}

static void begin(void *data, const XML_Char *name, const XML_Char **attributes)
{
    struct voc_reader *r = data;
    (void)attributes;
    r->len = 0;
    if (r->depth < DEEP) {
        size_t n = strlen(name);
        memcpy(r->path[r->depth], name, n < 23 ? n : 23);
        r->path[r->depth][n < 23 ? n : 23] = 0;
    }
    r->depth++;
    if (r->depth > DEEP && !r->err->code) {
        fail(r->err, ERR_DATA, "%s: nested too deep", r->where);
        XML_StopParser(r->parser, XML_FALSE);
    }
    r->annotation = r->annotation || (r->depth == 1 && !strcmp(name, "annotation"));
    if (!is_at(r, "annotation", 2) || strcmp(name, "object")) return;
    struct voc_object fresh = { 0 };
    r->seen = 0;
    if (!ARRAY_PUSH(r->arena, r->out->objects, r->out->n, r->cap, fresh)) {
        fail_nomem(r->err);
        XML_StopParser(r->parser, XML_FALSE);
    }
}

static void words(void *data, const XML_Char *text, int len)
{
    struct voc_reader *r = data;
    size_t room = LONG - 1 - r->len, n = (size_t)len < room ? (size_t)len : room;
    memcpy(r->text + r->len, text, n);
    r->len += n;
}

static double number(struct voc_reader *r)
{
    char *end;
    double v = strtod(r->text, &end);
    if (end != r->text && isfinite(v)) return v;
    if (!r->err->code)
        fail(r->err, ERR_DATA, "%s: line %lu: \"%.40s\" is no number", r->where,
            (unsigned long)XML_GetCurrentLineNumber(r->parser), r->text);
    XML_StopParser(r->parser, XML_FALSE);
    return 0;
}

static void end_object_part(struct voc_reader *r, const char *name)
{
    static const char *const sides[] = { "xmin", "ymin", "xmax", "ymax" };
    struct voc_object *o = &r->out->objects[r->out->n - 1];
    double *const to[] = { &o->left, &o->top, &o->right, &o->bottom };
    if (is_at(r, "object", 3) && !strcmp(name, "name")) {
        if (!(o->name = arena_strdup(r->arena, r->text))) fail_nomem(r->err);
        r->seen |= 16;
    } else if (is_at(r, "object", 3) && !strcmp(name, "difficult")) {
        o->difficult = number(r) != 0;
    } else if (is_at(r, "bndbox", 4) && !strcmp(r->path[1], "object")) {
        for (unsigned i = 0; i < 4; i++)
            if (!strcmp(name, sides[i])) *to[i] = number(r), r->seen |= 1u << i;
    } else if (r->depth == 2 && !strcmp(name, "object") && r->seen != 31 && !r->err->code) {
        fail(r->err, ERR_DATA, "%s: line %lu: object %zu has no name or no whole bndbox", r->where,
            (unsigned long)XML_GetCurrentLineNumber(r->parser), r->out->n);
        XML_StopParser(r->parser, XML_FALSE);
    }
}

static void end(void *data, const XML_Char *name)
{
    struct voc_reader *r = data;
    r->text[r->len] = 0;
    char *last = r->text + r->len; /* blanks around a text are none of it */
    while (last > r->text && strchr(" \t\r\n", last[-1])) *--last = 0;
    memmove(r->text, r->text + strspn(r->text, " \t\r\n"), strlen(r->text + strspn(r->text, " \t\r\n")) + 1);
    if (is_at(r, "size", 3) && !strcmp(name, "width")) r->out->width = number(r);
    if (is_at(r, "size", 3) && !strcmp(name, "height")) r->out->height = number(r);
    if (r->out->n && r->depth <= 4 && !strcmp(r->path[1], "object")) end_object_part(r, name);
    r->depth--;
    r->len = 0;
}

int voc_read(struct voc_file *out, struct arena *a, const char *where, struct bytes text, struct err *e)
{
    struct voc_reader *r = ARENA_NEW(a, struct voc_reader);
    TRY_MEM(r, e);
    *out = (struct voc_file){ 0 };
    if (text.len > 64 << 20) return fail(e, ERR_DATA, "%s: %zu bytes are too many for boxes", where, text.len);
    r->out = out, r->arena = a, r->err = e, r->where = where;
    TRY_MEM(r->parser = XML_ParserCreate(NULL), e);
    XML_SetUserData(r->parser, r);
    XML_SetElementHandler(r->parser, begin, end);
    XML_SetCharacterDataHandler(r->parser, words);
    XML_SetEntityDeclHandler(r->parser, no_entities);
    bool bad = XML_Parse(r->parser, (const char *)text.data, (int)text.len, 1) == XML_STATUS_ERROR;
    if (bad && !e->code)
        fail(e, ERR_DATA, "%s: line %lu: no XML: %s", where, (unsigned long)XML_GetCurrentLineNumber(r->parser),
            XML_ErrorString(XML_GetErrorCode(r->parser)));
    XML_ParserFree(r->parser);
    if (e->code) return e->code;
    if (!r->annotation || !(out->width >= 1) || !(out->height >= 1))
        return fail(e, ERR_DATA, "%s: no annotation of Pascal VOC with the size of its image", where);
    return 0;
}
