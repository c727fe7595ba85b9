/* tenrec.h - the whole public C API: open a model of any framework, run it, score images, package it. */
#ifndef TENREC_TENREC_H
#define TENREC_TENREC_H

#include "error.h"
#include "model.h"
#include "session.h"
#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0"; static storage. */
TENREC_API const char *tenrec_version(void);

#ifdef __cplusplus
}
#endif

#endif
