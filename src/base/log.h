/* log.h - what the library wants to say goes through a callback; it never writes to stdout. */
#ifndef TENREC_BASE_LOG_H
#define TENREC_BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

struct log {
    void (*write)(void *cookie, enum log_level level, const char *text); /* NULL: silent */
    void *cookie;
    enum log_level level; /* messages above it are dropped */
};

void log_line(const struct log *l /* may be NULL */, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
