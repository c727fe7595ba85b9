/* onnx_files.c - reads model files and writes each as ONNX, for the oracle that asks ONNX's own checker about them.
 *
 *   onnx_files OUT-FOLDER < LIST: one path per line; prints "WRITTEN PATH" or nothing for a model that is not taken. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/report.h"
#include "format/format.h"

static void convert(const char *path, const char *folder, int number)
{
    struct arena a;
    struct err e = { 0 };
    arena_init(&a, NULL);
    struct report r = report_in(&a);
    struct graph *g = NULL;
    const char *to = arena_printf(&a, "%s/%d.onnx", folder, number);
    if (!format_read(&a, path, NULL, &g, &r, &e)) {
        if (format_write(g, to, NULL, &r, &e)) fprintf(stderr, "%s: %s\n", path, e.text);
        else printf("%s %s\n", to, path);
    }
    arena_release(&a);
}

int main(int argc, char **argv)
{
    char line[4096];
    for (int number = 0; argc == 2 && fgets(line, sizeof line, stdin); number++) {
        line[strcspn(line, "\n")] = 0;
        convert(line, argv[1], number);
    }
    return argc == 2 ? 0 : 2;
}
