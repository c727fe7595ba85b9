/* tap.h - tests that register themselves and print TAP. A file of tests is TEST(name) { ... } blocks and nothing else.
 *
 * Each test runs in a process of its own, so a crash is one failure. CHECK* print both sides and go on; SKIP ends the
 * test. Main is here: include this in exactly one .c file per executable.
 */
#ifndef TENREC_TESTS_TAP_H
#define TENREC_TESTS_TAP_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct tap_test {
    const char *name;
    void (*run)(void);
    struct tap_test *next;
};
static struct tap_test *tap_first, **tap_last = &tap_first;
static int tap_failed;

#define TEST(id) \
    static void test_##id(void); \
    static struct tap_test tap_##id = { #id, test_##id, NULL }; \
    __attribute__((constructor)) static void tap_add_##id(void) { *tap_last = &tap_##id, tap_last = &tap_##id.next; } \
    static void test_##id(void)

#define TAP_FAIL(...) \
    (tap_failed = 1, printf("# %s:%d: ", __FILE__, __LINE__), printf(__VA_ARGS__), puts(""), fflush(stdout))
#define CHECK(cond) ((cond) ? (void)0 : (void)TAP_FAIL("%s", #cond))
#define CHECK_INT(a, b) \
    do { \
        long long a_ = (long long)(a), b_ = (long long)(b); \
        if (a_ != b_) TAP_FAIL("%s is %lld, expected %lld", #a, a_, b_); \
    } while (0)
#define CHECK_STR(a, b) \
    do { \
        const char *a_ = (a), *b_ = (b); \
        if (!a_ || !b_ || strcmp(a_, b_)) \
            TAP_FAIL("%s is \"%s\", expected \"%s\"", #a, a_ ? a_ : "NULL", b_ ? b_ : "NULL"); \
    } while (0)
#define CHECK_NEAR(a, b, tol) \
    do { \
        double a_ = (a), b_ = (b); \
        if (!(fabs(a_ - b_) <= (tol))) TAP_FAIL("%s is %.9g, expected %.9g", #a, a_, b_); \
    } while (0)
#define CHECK_OK(expr, e) ((expr) < 0 ? (void)TAP_FAIL("%s: %s", #expr, (e)->text) : (void)0)
#define SKIP(reason) \
    do { \
        printf("# skip %s\n", reason); \
        fflush(stdout); \
        _exit(77); \
    } while (0)

int main(int argc, char **argv)
{
    int n = 0, bad = 0;
    for (struct tap_test *t = tap_first; t; t = t->next) n++;
    printf("1..%d\n", n);
    n = 0;
    for (struct tap_test *t = tap_first; t; t = t->next) {
        n++;
        if (argc > 1 && !strstr(t->name, argv[1])) {
            printf("ok %d - %s # SKIP not asked for\n", n, t->name);
            continue;
        }
        fflush(stdout);
        pid_t pid = fork();
        if (!pid) {
            t->run();
            fflush(stdout);
            exit(tap_failed); /* leak check runs here */
        }
        int status = 0;
        waitpid(pid, &status, 0);
        int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (WIFSIGNALED(status)) printf("# killed by signal %d\n", WTERMSIG(status));
        bad += code && code != 77;
        printf("%sok %d - %s%s\n", code && code != 77 ? "not " : "", n, t->name, code == 77 ? " # SKIP" : "");
    }
    return bad ? 1 : 0;
}

#endif
