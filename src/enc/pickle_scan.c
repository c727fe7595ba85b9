/* pickle_scan.c - which globals a pickle may name: what model files need, and what only an attack needs. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "enc/pickle.h"

/* Patterns for "module name", where * stands for any characters. The dangerous ones are looked at first. */
static const char *const dangerous[] = {
    "builtins eval", "builtins exec", "builtins execfile", "builtins compile", "builtins open",
    "builtins file", "builtins __import__", "builtins getattr", "builtins setattr",
    "builtins delattr", "builtins apply", "builtins input", "builtins raw_input",
    "builtins globals", "builtins locals", "builtins vars", "builtins breakpoint",
    "builtins reload", "builtins help", "builtins exit", "builtins quit", "builtins map",
    "builtins filter", "builtins __*", "operator attrgetter", "operator methodcaller",
    "operator call", "functools reduce", "itertools starmap", "types CodeType",
    "types FunctionType", "types LambdaType", "types MethodType", "types ModuleType", "torch load",
    "torch.load *", "torch.serialization load*", "torch.hub *", "torch.jit load", "torch.ops *",
    "torch.classes *", "torch.utils.cpp_extension *", "torch.utils.collect_env *",
    "torch._inductor.codecache *", "torch.distributed.rpc*", "torch.distributed.run *",
    "torch.distributed.elastic*", "torch.testing.*", "torch.package*",
    "torch.utils.data.datapipes.utils.decoder *", "torch.utils._config_module *",
    "torch.utils.bottleneck*", "numpy load", "numpy save*", "numpy fromfile", "numpy memmap",
    "numpy genfromtxt", "numpy loadtxt", "numpy.testing*", "numpy.distutils*", "numpy.f2py*",
    "numpy.lib.npyio *", "numpy.ctypeslib*", "dill*", "cloudpickle*", "joblib load",
    "pandas read_*", "pandas.io.*", "keras.models load*", "tensorflow *", "tensorflow.*",
};
/* Modules that are dangerous whole, with everything under them; as a word of a dotted name, too. */
static const char *const dangerous_modules[] = {
    "os", "posix", "nt", "posixpath", "ntpath", "subprocess", "_posixsubprocess", "sys", "runpy",
    "importlib", "imp", "pkgutil", "zipimport", "pty", "tty", "socket", "_socket", "socketserver",
    "ssl", "shutil", "webbrowser", "commands", "popen2", "platform", "pickle", "cPickle", "_pickle",
    "pickletools", "marshal", "shelve", "dbm", "ctypes", "_ctypes", "cffi", "code", "codeop", "pdb",
    "bdb", "cProfile", "profile", "timeit", "trace", "pydoc", "doctest", "unittest", "asyncio",
    "multiprocessing", "concurrent", "threading", "_thread", "signal", "gc", "inspect", "linecache",
    "io", "_io", "tempfile", "fileinput", "glob", "fcntl", "mmap", "resource", "urllib", "urllib2",
    "http", "httplib", "requests", "aiohttp", "httpx", "ftplib", "smtplib", "telnetlib", "poplib",
    "imaplib", "xmlrpc", "paramiko", "pip", "ensurepip", "venv", "distutils", "setuptools",
    "pkg_resources", "site", "sysconfig", "lib2to3", "idlelib", "turtle", "tkinter", "ast", "dis",
    "sqlite3", "winreg", "msvcrt", "bz2", "gzip", "lzma", "zipfile", "tarfile",
};
static const char *const allowed[] = {
    "collections OrderedDict", "collections defaultdict", "collections Counter", "torch Size",
    "torch device", "torch *Storage", "torch.storage *Storage", "torch.cuda *Storage",
    "torch float*", "torch bfloat16", "torch half", "torch double", "torch int*", "torch uint*",
    "torch short", "torch long", "torch bool", "torch complex*", "torch q*int*", "torch strided",
    "torch sparse_*", "torch *_format", "torch channels_last*", "torch per_tensor_*",
    "torch per_channel_*", "torch *Tensor", "torch._utils _rebuild_*",
    "torch.nn.parameter Parameter", "torch.nn.parameter Buffer", "torch.nn.functional *", "torch._C._nn *",
    "torch._tensor _rebuild_from_type_v2", "torch.serialization _get_layout", "torch.jit._pickle *",
    "builtins set", "builtins frozenset", "builtins dict", "builtins list", "builtins tuple",
    "builtins slice", "builtins complex", "builtins bytearray", "builtins bytes", "builtins str",
    "builtins unicode", "builtins int", "builtins long", "builtins float", "builtins bool",
    "builtins object", "builtins range", "builtins xrange", "_codecs encode",
    "copyreg _reconstructor", "numpy dtype", "numpy ndarray", "numpy.core.multiarray _reconstruct",
    "numpy.core.multiarray scalar", "numpy.dtypes *", "argparse Namespace",
};
#define COUNT(table) (sizeof(table) / sizeof *(table))

/* Python 2 and NumPy 2 spell these modules in another way. */
static const char *const spellings[][2] = {
    { "__builtin__", "builtins" },
    { "copy_reg", "copyreg" },
    { "_operator", "operator" },
    { "_functools", "functools" },
    { "numpy._core.multiarray", "numpy.core.multiarray" },
};

/* Does `text` fit a pattern in which * stands for any characters? */
static bool fits(const char *pattern, const char *text)
{
    const char *star = NULL, *retry = NULL;
    while (*text) {
        if (*pattern == '*')
            star = pattern++, retry = text;
        else if (*pattern == *text)
            pattern++, text++;
        else if (star)
            pattern = star + 1, text = ++retry;
        else
            return false;
    }
    while (*pattern == '*') pattern++;
    return !*pattern;
}

static bool fits_one(const char *const *patterns, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++)
        if (fits(patterns[i], text)) return true;
    return false;
}

static bool is_dangerous_word(const char *word, size_t len)
{
    for (size_t i = 0; i < COUNT(dangerous_modules); i++)
        if (strlen(dangerous_modules[i]) == len && !memcmp(dangerous_modules[i], word, len)) return true;
    return false;
}

/* A dotted name is a walk along attributes ("torch", "os.system"): each word of it may lead to a module. */
static bool walks_to_danger(const char *name)
{
    if (!strchr(name, '.')) return false;
    while (*name) {
        size_t len = strcspn(name, ".");
        char builtin[64] = "builtins ";
        if (is_dangerous_word(name, len) || (len > 3 && name[0] == '_' && name[1] == '_')) return true;
        if (len < sizeof builtin - 10) {
            memcpy(builtin + 9, name, len);
            if (fits_one(dangerous, COUNT(dangerous), builtin)) return true;
        }
        name += len + (name[len] == '.');
    }
    return false;
}

enum pickle_verdict pickle_judge(const char *module, const char *name)
{
    char text[2200];
    for (size_t i = 0; i < COUNT(spellings); i++)
        if (!strcmp(module, spellings[i][0])) module = spellings[i][1];
    size_t module_len = strlen(module), name_len = strlen(name);
    if (module_len + name_len + 2 > sizeof text) return PICKLE_DANGEROUS;
    memcpy(text, module, module_len);
    text[module_len] = ' ';
    memcpy(text + module_len + 1, name, name_len + 1);
    bool serialized = !strncmp(module, "__torch__", 9) && (!module[9] || module[9] == '.'); /* code of the archive */
    bool of_layers = !strncmp(module, "torch.nn.modules.", 17) || !strncmp(module, "torchvision.models.", 19) ||
        !strcmp(module, "torchvision.ops.misc");
    bool layer = of_layers && isupper((unsigned char)name[0]) && !strchr(name, '.');
    if (serialized || layer) return PICKLE_ALLOWED;
    if (is_dangerous_word(module, strcspn(module, ".")) || walks_to_danger(name)) return PICKLE_DANGEROUS;
    if (fits_one(dangerous, COUNT(dangerous), text)) return PICKLE_DANGEROUS;
    return fits_one(allowed, COUNT(allowed), text) && !strchr(name, '.') ? PICKLE_ALLOWED : PICKLE_UNKNOWN;
}

int pickle_check(const struct pickle *p, const char *path, struct err *e)
{
    enum { SHOWN = 8 };
    char list[1500] = "";
    size_t n = 0, len = 0;
    for (size_t i = 0; i < p->n_globals; i++) {
        const struct pickle_global *g = p->globals[i];
        if (g->verdict != PICKLE_DANGEROUS || ++n > SHOWN) continue;
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%.60s.%.60s (offset %zu)", len ? ", " : "", g->module,
            g->name, g->at);
    }
    if (!n) return 0;
    return fail(e, ERR_UNSAFE,
        "%s: the pickle names what could run code or reach files: %s%s; nothing was run, and the file is refused", path,
        list, n > SHOWN ? ", and more" : "");
}
