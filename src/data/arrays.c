/* arrays.c - tensors from files of NumPy's, and back. */
#include "data/arrays.h"

#include "base/arena.h"
#include "base/err.h"

int tensor_read_npy(struct tensor **out, struct arena *a, const char *path, struct err *e)
{
    struct bytes file;
    struct npy array;
    TRY(file_load(a, path, &file, e));
    TRY(npy_read(&array, a, path, file, e));
    return tensor_from_npy(out, a, &array, path, e);
}

int tensor_write_npy(struct arena *a, const char *path, const struct tensor *t, struct err *e)
{
    struct npy array;
    struct file_writer w;
    TRY(npy_from_tensor(&array, t, e));
    TRY(file_writer_open(&w, a, path, e));
    if (npy_write(&array, a, &w, e)) {
        file_writer_abort(&w);
        return e->code;
    }
    return file_writer_commit(&w, e);
}
