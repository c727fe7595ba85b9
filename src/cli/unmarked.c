/* unmarked.c - pickles that do not begin with the mark of their protocol, told by their operations. */
#include "cli/unmarked.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

/* What follows an operation, by the opcodes of Python's pickletools: a line; so many bytes; or a length, of so many
 * bytes, and as many bytes as it says. */
static const struct operation {
    const char *opcodes;
    size_t n_opcodes, n_bytes;
    bool is_line, is_length;
} operations[] = {
    { "(]})tldasue012Nb\x85\x86\x87\x88\x89\x8f\x90\x91\x93\x94", 26, 0, false, false },
    { "IFLSVpg", 7, 0, true, false },
    { "Khq\x80", 4, 1, false, false },
    { "M", 1, 2, false, false },
    { "Jjr", 3, 4, false, false },
    { "G\x95", 2, 8, false, false },
    { "UC\x8a\x8c", 4, 1, false, true },
    { "TXB\x8b", 4, 4, false, true },
    { "\x8d\x8e\x96", 3, 8, false, true },
};

static const struct operation *find(int opcode)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (memchr(operations[i].opcodes, opcode, operations[i].n_opcodes)) return &operations[i];
    return NULL;
}

/* Goes behind one line, which may have to be a dotted name. */
static bool skip_line(struct bytes data, size_t *at, bool is_name)
{
    const unsigned char *from = data.data + *at, *end = memchr(from, '\n', data.len - *at);
    if (!end || (is_name && (end == from || isdigit(*from)))) return false;
    for (const unsigned char *p = from; is_name && p < end; p++)
        if (!isalnum(*p) && *p != '_' && *p != '.') return false;
    *at += (size_t)(end - from) + 1;
    return true;
}

static bool skip_argument(struct bytes data, size_t *at, const struct operation *op)
{
    if (op->is_line) return skip_line(data, at, false);
    if (op->n_bytes > data.len - *at) return false;
    uint64_t more = 0;
    for (size_t i = 0; i < op->n_bytes && op->is_length; i++) more |= (uint64_t)data.data[*at + i] << 8 * i;
    *at += op->n_bytes;
    if (more > data.len - *at) return false;
    *at += (size_t)more;
    return true;
}

bool pickle_is_unmarked(struct bytes data)
{
    bool named = false, arguments = false;
    for (size_t at = 0; at < data.len;) {
        int opcode = data.data[at++];
        if (opcode == 'c' || opcode == 'i') { /* GLOBAL, INST: two lines, module and name */
            if (!skip_line(data, &at, true) || !skip_line(data, &at, true)) return false;
            if (opcode == 'i' && arguments) return true;
            named = true;
            continue;
        }
        if (memchr("Ro\x81\x92", opcode, 4)) return named && arguments; /* REDUCE, OBJ, NEWOBJ, NEWOBJ_EX */
        const struct operation *op = find(opcode);
        if (!op || !skip_argument(data, &at, op)) return false;
        named |= opcode == 0x93;                                  /* STACK_GLOBAL */
        arguments |= memchr("()\x85\x86\x87", opcode, 5) != NULL; /* MARK, tuples */
    }
    return false;
}
