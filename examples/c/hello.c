/* hello.c - names what is in a picture: hello MODEL PICTURE. */
#include <stdio.h>
#include <stdlib.h>
#include <tenrec/tenrec.h>

static char *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    char *data = f && !fseek(f, 0, SEEK_END) && ftell(f) > 0 ? malloc(*size = (size_t)ftell(f)) : NULL;
    if (data && (rewind(f), fread(data, 1, *size, f)) != *size) *size = 0;
    if (f) fclose(f);
    return data;
}

int main(int argc, char **argv)
{
    struct tenrec_error error = { 0 };
    struct tenrec_image picture = { 0 };
    struct tenrec_answer answer;
    struct tenrec_model *model = argc == 3 ? tenrec_open(argv[1], NULL, &error) : NULL;
    struct tenrec_session *session = model ? tenrec_session_new(model, NULL, &error) : NULL;
    if (session) picture.data = read_file(argv[2], &picture.size);
    int code = picture.data ? tenrec_score(session, &picture, 1, &answer, 1, &error) : -1;
    if (code) fprintf(stderr, "hello: %s\n", error.text[0] ? error.text : "usage: hello MODEL PICTURE");
    for (size_t i = 0; !code && i < answer.n; i++)
        printf("%.4f %s\n", answer.score[i], answer.label[i] ? answer.label[i] : "?");
    free((void *)picture.data);
    tenrec_session_free(session);
    tenrec_close(model);
    return code != 0;
}
