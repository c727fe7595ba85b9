/* images.c - answers the lines of image_commands.h from stdin, for images.py: PROGRAM FOLDER. */
#include "image_commands.h"

int main(int argc, char **argv)
{
    char line[600];
    while (fgets(line, sizeof line, stdin)) {
        struct arena a;
        struct err e = { 0 };
        arena_init(&a, NULL);
        struct command c = { .arena = &a, .folder = argc > 1 ? argv[1] : ".", .e = &e };
        puts(command_run(&c, line) ? e.text : c.answer);
        arena_release(&a);
    }
    return 0;
}
