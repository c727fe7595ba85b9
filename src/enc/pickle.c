/* pickle.c - the stack machine of pickles: opcodes in, a tree of values out. */
#include "enc/pickle.h"

#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/err.h"
#include "base/map.h"
#include "enc/bytes.h"
#include "enc/pickle_tree.h"

enum {
    VALUES_MAX = 1 << 24,
    GLOBAL_MAX = 1024, /* characters of "module name" */
    PROTOCOL_MAX = 5,
};

struct machine {
    struct arena *arena;
    struct pickle *out;
    const char *path;
    struct bytes data;
    size_t at;      /* the next byte */
    size_t op_at;   /* the opcode that is being run */
    const struct opcode *op;
    struct pickle_items stack;
    size_t *marks; /* heights of the stack */
    size_t n_marks, cap_marks;
    struct pickle_value **memo; /* by number, NULL where nothing was put */
    size_t n_memo, cap_memo, n_memoized;
    size_t n_values;
    struct map globals; /* "module name" -> struct pickle_global */
    struct pickle_value none, yes, no, nothing;
    struct pickle_items empty;
    bool stopped;
    struct err *e;
};

struct opcode {
    const char *name;
    int (*run)(struct machine *m, uint64_t arg); /* NULL: not supported */
    unsigned char operand;                      /* bytes of it, given as `arg` */
    unsigned char extra;                        /* what tells apart opcodes that share `run` */
};

static int refuse(struct machine *m, int code, const char *what)
{
    return fail(m->e, code, "%s: offset %zu: opcode %s: %s", m->path, m->op_at, m->op->name, what);
}

static int broken(struct machine *m, const char *what)
{
    return refuse(m, ERR_MODEL, what);
}

/* The stack. Nothing reaches below the last mark. */

static int push(struct machine *m, struct pickle_value *v)
{
    struct pickle_items *s = &m->stack;
    return ARRAY_PUSH(m->arena, s->items, s->n, s->cap, v) ? 0 : fail_nomem(m->e);
}

static size_t above_mark(const struct machine *m)
{
    return m->stack.n - (m->n_marks ? m->marks[m->n_marks - 1] : 0);
}

static int need(struct machine *m, size_t n)
{
    return above_mark(m) < n ? broken(m, "the stack holds too few values") : 0;
}

static struct pickle_value *pop(struct machine *m)
{
    return m->stack.items[--m->stack.n];
}

static struct pickle_value *top(const struct machine *m)
{
    return m->stack.items[m->stack.n - 1];
}

/* Takes the last mark away; *first is the place in the stack of the first value above it. */
static int take_mark(struct machine *m, size_t *first)
{
    if (!m->n_marks) return broken(m, "there is no mark");
    *first = m->marks[--m->n_marks];
    return 0;
}

static int new_value(struct machine *m, enum pickle_kind kind, struct pickle_value **out)
{
    if (++m->n_values > VALUES_MAX) return broken(m, "too many values for a pickle of a model");
    struct pickle_value *v = *out = ARENA_NEW(m->arena, struct pickle_value);
    TRY_MEM(v, m->e);
    v->kind = kind;
    v->at = m->op_at;
    return 0;
}

/* A new value with an empty body, on the stack. */
static int push_new(struct machine *m, enum pickle_kind kind, struct pickle_value **out)
{
    static const size_t body[] = {
        [PICKLE_LIST] = sizeof(struct pickle_items),
        [PICKLE_TUPLE] = sizeof(struct pickle_items),
        [PICKLE_SET] = sizeof(struct pickle_items),
        [PICKLE_DICT] = sizeof(struct pickle_pairs),
        [PICKLE_CALL] = sizeof(struct pickle_call),
        [PICKLE_OBJECT] = sizeof(struct pickle_call),
        [PICKLE_PERSISTENT] = 0,
    };
    TRY(new_value(m, kind, out));
    if (body[kind]) {
        void *p = arena_alloc(m->arena, body[kind]);
        TRY_MEM(p, m->e);
        (*out)->seq = p; /* all bodies are pointers in one union */
    }
    return push(m, *out);
}

static int append(struct machine *m, struct pickle_items *to, struct pickle_value **from, size_t n)
{
    if (n > to->cap - to->n) {
        size_t cap = to->n + n > to->cap * 2 ? to->n + n : to->cap * 2;
        struct pickle_value **items = ARENA_ARRAY(m->arena, cap, struct pickle_value *);
        TRY_MEM(items, m->e);
        if (to->n) memcpy(items, to->items, to->n * sizeof *items);
        to->items = items, to->cap = cap;
    }
    if (n) memcpy(to->items + to->n, from, n * sizeof *from);
    to->n += n;
    return 0;
}

static int append_pairs(struct machine *m, struct pickle_pairs *to, struct pickle_value **from, size_t n)
{
    if (n % 2) return broken(m, "a key without a value");
    for (size_t i = 0; i < n; i += 2) {
        struct pickle_pair pair = { from[i], from[i + 1] };
        if (!ARRAY_PUSH(m->arena, to->pairs, to->n, to->cap, pair)) return fail_nomem(m->e);
    }
    return 0;
}

/* Opcodes that make plain values. */

static int op_proto(struct machine *m, uint64_t arg)
{
    return arg > PROTOCOL_MAX ? refuse(m, ERR_UNSUPPORTED, "protocols above 5 are not known") : 0;
}

static int op_frame(struct machine *m, uint64_t arg)
{
    return arg > m->data.len - m->at ? broken(m, "the frame reaches beyond the file") : 0;
}

static int op_mark(struct machine *m, uint64_t arg)
{
    return ARRAY_PUSH(m->arena, m->marks, m->n_marks, m->cap_marks, m->stack.n) ? 0 : fail_nomem(m->e);
}

/* None, True, False and () are immutable, so one of each is enough. */
static int op_constant(struct machine *m, uint64_t arg)
{
    struct pickle_value *constants[] = { &m->none, &m->no, &m->yes, &m->nothing };
    return push(m, constants[m->op->extra]);
}

static int push_int(struct machine *m, int64_t integer)
{
    struct pickle_value *v;
    TRY(new_value(m, PICKLE_INT, &v));
    v->integer = integer;
    return push(m, v);
}

static int op_int(struct machine *m, uint64_t arg)
{
    return push_int(m, m->op->operand == 4 ? (int32_t)(uint32_t)arg : (int64_t)arg);
}

static int take(struct machine *m, uint64_t len, const unsigned char **p)
{
    if (len > m->data.len - m->at) return broken(m, "it is longer than the rest of the file");
    *p = m->data.data + m->at;
    m->at += (size_t)len;
    return 0;
}

static int op_long(struct machine *m, uint64_t arg)
{
    const unsigned char *p = NULL;
    TRY(take(m, arg, &p));
    if (arg <= 8) {
        uint64_t bits = arg && p[arg - 1] & 0x80 ? ~(uint64_t)0 : 0;
        for (size_t i = (size_t)arg; i-- > 0;) bits = bits << 8 | p[i];
        return push_int(m, (int64_t)bits);
    }
    struct pickle_value *v;
    TRY(new_value(m, PICKLE_LONG, &v));
    v->text = (struct pickle_text){ (const char *)p, (size_t)arg };
    return push(m, v);
}

static int op_float(struct machine *m, uint64_t arg)
{
    struct pickle_value *v;
    TRY(new_value(m, PICKLE_FLOAT, &v));
    uint64_t bits = __builtin_bswap64(arg); /* the one number of pickles that is big-endian */
    memcpy(&v->real, &bits, sizeof bits);
    return push(m, v);
}

static int op_text(struct machine *m, uint64_t arg)
{
    const unsigned char *p = NULL;
    struct pickle_value *v;
    TRY(take(m, arg, &p));
    TRY(new_value(m, m->op->extra, &v));
    v->text = (struct pickle_text){ (const char *)p, (size_t)arg };
    if (v->kind == PICKLE_STR) {
        v->text.s = arena_strndup(m->arena, v->text.s, v->text.len);
        TRY_MEM(v->text.s, m->e);
    }
    return push(m, v);
}

/* Opcodes that name things. */

static int push_global(struct machine *m, const char *module, size_t module_len, const char *name, size_t name_len)
{
    if (module_len > GLOBAL_MAX || name_len > GLOBAL_MAX || !module_len || !name_len)
        return broken(m, "the name of a global is empty or too long");
    if (memchr(module, 0, module_len) || memchr(name, 0, name_len)) return broken(m, "a zero in the name of a global");
    char key[2 * GLOBAL_MAX + 2];
    memcpy(key, module, module_len);
    key[module_len] = ' ';
    memcpy(key + module_len + 1, name, name_len);
    key[module_len + 1 + name_len] = 0;
    struct pickle_global *g = map_get(&m->globals, key);
    if (!g) {
        struct pickle *out = m->out;
        g = ARENA_NEW(m->arena, struct pickle_global);
        TRY_MEM(g, m->e);
        g->module = arena_strndup(m->arena, module, module_len);
        g->name = arena_strndup(m->arena, name, name_len);
        if (!g->module || !g->name || !map_set(&m->globals, key, g)) return fail_nomem(m->e);
        g->at = m->op_at;
        g->verdict = pickle_judge(g->module, g->name);
        if (!ARRAY_PUSH(m->arena, out->globals, out->n_globals, out->cap_globals, g)) return fail_nomem(m->e);
    }
    g->count++;
    struct pickle_value *v;
    TRY(new_value(m, PICKLE_GLOBAL, &v));
    v->global = g;
    return push(m, v);
}

static int take_line(struct machine *m, const char **line, size_t *len)
{
    const unsigned char *start = m->data.data + m->at, *end = memchr(start, '\n', m->data.len - m->at);
    if (!end) return broken(m, "its line does not end");
    *line = (const char *)start;
    *len = (size_t)(end - start);
    m->at += *len + 1;
    return 0;
}

static int op_global(struct machine *m, uint64_t arg)
{
    const char *module = NULL, *name = NULL;
    size_t module_len = 0, name_len = 0;
    TRY(take_line(m, &module, &module_len));
    TRY(take_line(m, &name, &name_len));
    return push_global(m, module, module_len, name, name_len);
}

static int op_stack_global(struct machine *m, uint64_t arg)
{
    TRY(need(m, 2));
    const struct pickle_value *name = pop(m), *module = pop(m);
    if (name->kind != PICKLE_STR || module->kind != PICKLE_STR) return broken(m, "its two names must be strings");
    return push_global(m, module->text.s, module->text.len, name->text.s, name->text.len);
}

static int op_persistent(struct machine *m, uint64_t arg)
{
    struct pickle_value *id, *v;
    TRY(need(m, 1));
    id = pop(m);
    TRY(push_new(m, PICKLE_PERSISTENT, &v));
    v->id = id;
    struct pickle *out = m->out;
    return ARRAY_PUSH(m->arena, out->persistent, out->n_persistent, out->cap_persistent, v) ? 0 : fail_nomem(m->e);
}

/* The memo. */

static int put(struct machine *m, uint64_t number)
{
    TRY(need(m, 1));
    if (number > m->data.len) return broken(m, "its number is larger than the file");
    if (number >= m->cap_memo) {
        size_t cap = m->cap_memo ? m->cap_memo : 32;
        while (cap <= number) cap *= 2;
        struct pickle_value **memo = ARENA_ARRAY(m->arena, cap, struct pickle_value *);
        TRY_MEM(memo, m->e);
        if (m->cap_memo) memcpy(memo, m->memo, m->cap_memo * sizeof *memo);
        m->memo = memo, m->cap_memo = cap;
    }
    m->n_memoized += !m->memo[number];
    m->memo[number] = top(m);
    return 0;
}

static int op_put(struct machine *m, uint64_t arg)
{
    return put(m, arg);
}

static int op_memoize(struct machine *m, uint64_t arg)
{
    return put(m, m->n_memoized);
}

static int op_get(struct machine *m, uint64_t arg)
{
    if (arg >= m->cap_memo || !m->memo[arg]) return broken(m, "nothing was put under its number");
    return push(m, m->memo[arg]);
}

/* Opcodes that make and fill containers. */

static int op_empty(struct machine *m, uint64_t arg)
{
    struct pickle_value *v;
    return push_new(m, m->op->extra, &v);
}

/* A container of what lies above `first`, which leaves the stack. */
static int collect(struct machine *m, enum pickle_kind kind, size_t first)
{
    struct pickle_value *v, **from = m->stack.items + first;
    size_t n = m->stack.n - first;
    m->stack.n = first; /* its cells stay as they are until the next push */
    struct pickle_items all = { 0 };
    struct pickle_pairs pairs = { 0 };
    if (kind == PICKLE_DICT)
        TRY(append_pairs(m, &pairs, from, n));
    else
        TRY(append(m, &all, from, n));
    TRY(push_new(m, kind, &v));
    if (kind == PICKLE_DICT)
        *v->dict = pairs;
    else
        *v->seq = all;
    return 0;
}

static int op_collect(struct machine *m, uint64_t arg)
{
    size_t first = 0;
    TRY(take_mark(m, &first));
    return collect(m, m->op->extra, first);
}

static int op_tuple(struct machine *m, uint64_t arg)
{
    TRY(need(m, m->op->extra));
    return collect(m, PICKLE_TUPLE, m->stack.n - m->op->extra);
}

/* Puts what lies above `first` into the container below it. */
static int fill(struct machine *m, size_t first)
{
    struct pickle_value **from = m->stack.items + first;
    size_t n = m->stack.n - first;
    m->stack.n = first;
    TRY(need(m, 1));
    struct pickle_value *to = top(m);
    bool call = to->kind == PICKLE_CALL || to->kind == PICKLE_OBJECT;
    if (m->op->extra == PICKLE_DICT) {
        if (to->kind != PICKLE_DICT && !call) return broken(m, "there is no dict to put pairs into");
        return append_pairs(m, call ? &to->call->pairs : to->dict, from, n);
    }
    if (to->kind != m->op->extra && !call) return broken(m, "there is no such container to put values into");
    return append(m, call ? &to->call->items : to->seq, from, n);
}

static int op_fill(struct machine *m, uint64_t arg)
{
    size_t first = 0;
    TRY(take_mark(m, &first));
    return fill(m, first);
}

static int op_append(struct machine *m, uint64_t arg)
{
    TRY(need(m, 2));
    return fill(m, m->stack.n - 1);
}

static int op_setitem(struct machine *m, uint64_t arg)
{
    TRY(need(m, 3));
    return fill(m, m->stack.n - 2);
}

static int op_pop(struct machine *m, uint64_t arg)
{
    TRY(need(m, 1));
    pop(m);
    return 0;
}

/* Opcodes that would run code, and here only record that they would have. */

static struct pickle_value *class_of_id(const struct pickle_value *id)
{
    struct pickle_value *class = id->kind == PICKLE_TUPLE ? pickle_item(id, 1) : NULL;
    return class && class->kind == PICKLE_GLOBAL ? class : NULL;
}

/* OrderedDict([[key, value], ...]), as Python 2 wrote it, has its pairs where SETITEMS would put them. */
static int take_pairs(struct machine *m, const struct pickle_value *v)
{
    if (!pickle_is_global(v->call->function, "collections", "OrderedDict")) return 0;
    const struct pickle_items *list = pickle_seq(pickle_item(v->call->args, 0));
    m->n_values += list ? list->n : 0; /* a short pickle could ask for copies of a long list again and again */
    for (size_t i = 0; list && i < list->n && m->n_values <= VALUES_MAX; i++) {
        const struct pickle_items *pair = pickle_seq(list->items[i]);
        if (!pair || pair->n != 2) return broken(m, "OrderedDict of something else than pairs");
        TRY(append_pairs(m, &v->call->pairs, pair->items, 2));
    }
    return 0;
}

static int op_call(struct machine *m, uint64_t arg)
{
    struct pickle_value *v;
    TRY(need(m, 2));
    struct pickle_value *args = pop(m), *function = pop(m), *named = function;
    if (function->kind == PICKLE_PERSISTENT) named = class_of_id(function->id);
    if (!named || named->kind != PICKLE_GLOBAL) return broken(m, "what it would call is no global");
    if (m->op->extra == PICKLE_OBJECT && args->kind != PICKLE_TUPLE) return broken(m, "its arguments are no tuple");
    named->global->called = true;
    TRY(push_new(m, m->op->extra, &v));
    v->call->function = function;
    v->call->args = args;
    return v->kind == PICKLE_CALL ? take_pairs(m, v) : 0;
}

static int op_build(struct machine *m, uint64_t arg)
{
    TRY(need(m, 2));
    struct pickle_value *state = pop(m), *v = top(m);
    if (v->kind != PICKLE_CALL && v->kind != PICKLE_OBJECT) return broken(m, "there is no object to give a state to");
    if (v->call->state) return broken(m, "the object has a state already");
    v->call->state = state;
    return 0;
}

static int op_stop(struct machine *m, uint64_t arg)
{
    TRY(need(m, 1));
    if (m->n_marks || m->stack.n != 1) return broken(m, "values are left on the stack");
    m->stopped = true;
    return 0;
}

/* All opcodes of protocols 0 to 5, by their byte. Those without a function are never written by PyTorch's writers. */
static const struct opcode opcodes[256] = {
    ['('] = { "MARK", op_mark },
    ['.'] = { "STOP", op_stop },
    ['0'] = { "POP", op_pop },
    ['1'] = { "POP_MARK" },
    ['2'] = { "DUP" },
    ['F'] = { "FLOAT" },
    ['I'] = { "INT" },
    ['J'] = { "BININT", op_int, 4 },
    ['K'] = { "BININT1", op_int, 1 },
    ['L'] = { "LONG" },
    ['M'] = { "BININT2", op_int, 2 },
    ['N'] = { "NONE", op_constant, 0, 0 },
    ['P'] = { "PERSID" },
    ['Q'] = { "BINPERSID", op_persistent },
    ['R'] = { "REDUCE", op_call, 0, PICKLE_CALL },
    ['S'] = { "STRING" },
    ['T'] = { "BINSTRING", op_text, 4, PICKLE_STR },
    ['U'] = { "SHORT_BINSTRING", op_text, 1, PICKLE_STR },
    ['V'] = { "UNICODE" },
    ['X'] = { "BINUNICODE", op_text, 4, PICKLE_STR },
    ['a'] = { "APPEND", op_append, 0, PICKLE_LIST },
    ['b'] = { "BUILD", op_build },
    ['c'] = { "GLOBAL", op_global },
    ['d'] = { "DICT", op_collect, 0, PICKLE_DICT },
    ['}'] = { "EMPTY_DICT", op_empty, 0, PICKLE_DICT },
    ['e'] = { "APPENDS", op_fill, 0, PICKLE_LIST },
    ['g'] = { "GET" },
    ['h'] = { "BINGET", op_get, 1 },
    ['i'] = { "INST" },
    ['j'] = { "LONG_BINGET", op_get, 4 },
    ['l'] = { "LIST", op_collect, 0, PICKLE_LIST },
    [']'] = { "EMPTY_LIST", op_empty, 0, PICKLE_LIST },
    ['o'] = { "OBJ" },
    ['p'] = { "PUT" },
    ['q'] = { "BINPUT", op_put, 1 },
    ['r'] = { "LONG_BINPUT", op_put, 4 },
    ['s'] = { "SETITEM", op_setitem, 0, PICKLE_DICT },
    ['t'] = { "TUPLE", op_collect, 0, PICKLE_TUPLE },
    [')'] = { "EMPTY_TUPLE", op_constant, 0, 3 },
    ['u'] = { "SETITEMS", op_fill, 0, PICKLE_DICT },
    ['G'] = { "BINFLOAT", op_float, 8 },
    ['B'] = { "BINBYTES", op_text, 4, PICKLE_BYTES },
    ['C'] = { "SHORT_BINBYTES", op_text, 1, PICKLE_BYTES },
    [0x80] = { "PROTO", op_proto, 1 },
    [0x81] = { "NEWOBJ", op_call, 0, PICKLE_OBJECT },
    [0x82] = { "EXT1" },
    [0x83] = { "EXT2" },
    [0x84] = { "EXT4" },
    [0x85] = { "TUPLE1", op_tuple, 0, 1 },
    [0x86] = { "TUPLE2", op_tuple, 0, 2 },
    [0x87] = { "TUPLE3", op_tuple, 0, 3 },
    [0x88] = { "NEWTRUE", op_constant, 0, 2 },
    [0x89] = { "NEWFALSE", op_constant, 0, 1 },
    [0x8a] = { "LONG1", op_long, 1 },
    [0x8b] = { "LONG4", op_long, 4 },
    [0x8c] = { "SHORT_BINUNICODE", op_text, 1, PICKLE_STR },
    [0x8d] = { "BINUNICODE8", op_text, 8, PICKLE_STR },
    [0x8e] = { "BINBYTES8", op_text, 8, PICKLE_BYTES },
    [0x8f] = { "EMPTY_SET", op_empty, 0, PICKLE_SET },
    [0x90] = { "ADDITEMS", op_fill, 0, PICKLE_SET },
    [0x91] = { "FROZENSET", op_collect, 0, PICKLE_SET },
    [0x92] = { "NEWOBJ_EX" },
    [0x93] = { "STACK_GLOBAL", op_stack_global },
    [0x94] = { "MEMOIZE", op_memoize },
    [0x95] = { "FRAME", op_frame, 8 },
    [0x96] = { "BYTEARRAY8", op_text, 8, PICKLE_BYTES },
    [0x97] = { "NEXT_BUFFER" },
    [0x98] = { "READONLY_BUFFER" },
};

static int step(struct machine *m)
{
    m->op_at = m->at;
    if (m->at == m->data.len)
        return fail(m->e, ERR_MODEL, "%s: offset %zu: the pickle has no end; the file is cut short", m->path, m->at);
    unsigned char byte = m->data.data[m->at++];
    m->op = &opcodes[byte];
    if (!m->op->name)
        return fail(m->e, ERR_MODEL, "%s: offset %zu: 0x%02x is no opcode of a pickle", m->path, m->op_at, byte);
    if (!m->op->run) return refuse(m, ERR_UNSUPPORTED, "not one that model files use, so it is refused");
    if (m->op->operand > m->data.len - m->at) return broken(m, "its operand is cut short");
    uint64_t arg = get_le(m->data.data + m->at, m->op->operand);
    m->at += m->op->operand;
    return m->op->run(m, arg);
}

static int run(struct machine *m)
{
    while (!m->stopped) TRY(step(m));
    m->out->root = m->stack.items[0];
    m->out->end = m->at;
    return pickle_measure(m->out->root, m->arena, m->path, m->e);
}

int pickle_read(struct pickle *p, struct arena *a, const char *path, struct bytes data, size_t at, struct err *e)
{
    *p = (struct pickle){ 0 };
    struct machine *m = ARENA_NEW(a, struct machine);
    TRY_MEM(m, e);
    *m = (struct machine){ .arena = a, .out = p, .path = path, .data = data, .at = at, .globals = map_in(a), .e = e };
    if (at > data.len) return fail(e, ERR_MODEL, "%s: a pickle should begin at %zu, beyond the end", path, at);
    m->none.kind = PICKLE_NONE;
    m->yes = (struct pickle_value){ .kind = PICKLE_BOOL, .boolean = true };
    m->no = (struct pickle_value){ .kind = PICKLE_BOOL, .boolean = false };
    m->nothing = (struct pickle_value){ .kind = PICKLE_TUPLE, .seq = &m->empty };
    int code = run(m);
    if (code < 0 && code != ERR_NOMEM) {
        struct err unsafe = { 0 };
        if (pickle_check(p, path, &unsafe)) err_prefix(e, "%s; and then", unsafe.text), e->code = ERR_UNSAFE;
    }
    return code < 0 ? e->code : 0;
}
