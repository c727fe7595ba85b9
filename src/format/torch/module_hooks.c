/* module_hooks.c - hooks of torch.nn.utils that make a weight of others before each call: weight_norm, spectral_norm,
 * pruning. A pickled module brings only their names and numbers; what they compute is said here. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "format/torch/module.h"

/* `text`: a line of TorchScript that gives NAME_, which stands for self.NAME afterwards; '$' is NAME, '#' the
 * dimension. As when scoring: spectral_norm's two vectors stay as they are. */
static const struct hook {
    const char *module, *name; /* NULL: all classes of the module */
    const char *key;           /* of the attribute that holds NAME */
    const char *text;
} hooks[] = {
    { "torch.nn.utils.weight_norm", "WeightNorm", "name", "$_ = torch._weight_norm(self.$_v, self.$_g, #)" },
    { "torch.nn.utils.spectral_norm", "SpectralNorm", "name",
        "$_m = torch.transpose(self.$_orig, 0, #)\n"
        "    $_m = torch.reshape($_m, [torch.size($_m, 0), -1])\n"
        "    $_ = torch.div(self.$_orig, torch.sum(torch.mul(self.$_u, torch.matmul($_m, self.$_v))))" },
    { "torch.nn.utils.prune", NULL, "_tensor_name", "$_ = torch.mul(self.$_orig, self.$_mask)" },
};

static const struct hook *find(const char *class)
{
    const char *dot = strrchr(class, '.');
    size_t len = dot ? (size_t)(dot - class) : 0;
    for (size_t i = 0; i < sizeof hooks / sizeof *hooks; i++)
        if (strlen(hooks[i].module) == len && !strncmp(class, hooks[i].module, len) &&
            (!hooks[i].name || !strcmp(dot + 1, hooks[i].name)))
            return &hooks[i];
    return NULL;
}

static bool is_name(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    return n && !s[n] && (*s < '0' || *s > '9') && n < 64;
}

static const char *read_hook(const struct pickle_value *v, struct arena *a, struct str *code)
{
    const char *class = module_class(v, a);
    const struct hook *h = class ? find(class) : NULL;
    const struct pickle_value *name = h ? pickle_attr(v, h->key) : NULL, *dim = pickle_attr(v, "dim");
    int64_t d = -1; /* a norm over all */
    if (!name || name->kind != PICKLE_STR || !is_name(name->text.s)) return NULL;
    if (dim && dim->kind != PICKLE_NONE && (!pickle_get_int(dim, &d) || d < -1 || d > 7)) return NULL;
    if (strstr(h->text, "transpose") && (d < 0 || d > 1)) return NULL;
    str_add(code, "    ");
    for (const char *p = h->text; *p; p++) {
        if (*p == '$') str_add(code, name->text.s);
        else if (*p == '#') str_addf(code, "%d", (int)d);
        else str_addc(code, *p);
    }
    str_add(code, "\n");
    return name->text.s;
}

bool module_hooks(const struct pickle_value *p, struct arena *a, struct hooked *out)
{
    const struct pickle_pairs *after = pickle_pairs(pickle_attr(p, "_forward_hooks"));
    const struct pickle_pairs *before = pickle_pairs(pickle_attr(p, "_forward_pre_hooks"));
    struct str code = str_in(a);
    *out = (struct hooked){ .text = "" };
    if (after && after->n) return false;
    for (size_t i = 0; before && i < before->n; i++) {
        const char *name = out->n < HOOKED_MAX ? read_hook(before->pairs[i].value, a, &code) : NULL;
        if (!name) return false;
        out->names[out->n++] = name;
    }
    return (out->text = str_done(&code)) != NULL;
}
