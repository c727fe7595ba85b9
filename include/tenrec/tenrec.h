/* tenrec.h - the public C API. */
#ifndef TENREC_TENREC_H
#define TENREC_TENREC_H

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0"; static storage. */
__attribute__((visibility("default"))) const char *tenrec_version(void);

#ifdef __cplusplus
}
#endif

#endif
