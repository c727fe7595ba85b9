"""The C structs and functions of include/tenrec, as ctypes sees them."""
import ctypes
import ctypes.util
import os
from concurrent.futures import ThreadPoolExecutor

MAX_RANK = 8
SIZE_T, INT64, TEXT, HANDLE = ctypes.c_size_t, ctypes.c_int64, ctypes.c_char_p, ctypes.c_void_p
LOG = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, TEXT)
SAY = ctypes.CFUNCTYPE(None, ctypes.c_void_p, TEXT)
CANCELLED = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)


class ErrorStruct(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("text", ctypes.c_char * 4000)]


class Tensor(ctypes.Structure):
    _fields_ = [("dtype", ctypes.c_int), ("rank", ctypes.c_int), ("dim", INT64 * MAX_RANK), ("data", ctypes.c_void_p)]


class Options(ctypes.Structure):
    _fields_ = [("size", SIZE_T), ("weights", TEXT), ("labels", TEXT), ("like", TEXT), ("preprocess", TEXT),
                ("input", ctypes.POINTER(TEXT)), ("alloc", ctypes.c_void_p), ("free", ctypes.c_void_p),
                ("alloc_cookie", ctypes.c_void_p), ("log", LOG), ("log_cookie", ctypes.c_void_p),
                ("features", TEXT)]


class SessionOptions(ctypes.Structure):
    _fields_ = [("size", SIZE_T), ("threads", ctypes.c_int), ("cancelled", CANCELLED), ("cookie", ctypes.c_void_p)]


class PortStruct(ctypes.Structure):
    _fields_ = [("name", TEXT), ("dtype", ctypes.c_int), ("rank", ctypes.c_int), ("dim", INT64 * MAX_RANK),
                ("dim_name", TEXT * MAX_RANK), ("is_image", ctypes.c_int)]


class Image(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("size", SIZE_T), ("width", ctypes.c_int), ("height", ctypes.c_int),
                ("channels", ctypes.c_int)]


class Answer(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int), ("tensor", Tensor), ("n", SIZE_T), ("index", ctypes.POINTER(INT64)),
                ("score", ctypes.POINTER(ctypes.c_double)), ("label", ctypes.POINTER(TEXT)), ("width", ctypes.c_int),
                ("height", ctypes.c_int), ("mask", ctypes.POINTER(ctypes.c_int32)),
                ("box", ctypes.POINTER(ctypes.c_double))]


class Error(Exception):
    """What the library says; `code` is one of the numbers in tenrec/error.h."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


# name: (result, arguments without the error that ends them, whether there is one)
_ERROR = ctypes.POINTER(ErrorStruct)
_FUNCTIONS = {
    "version": (TEXT, [], False),
    "dtype_name": (TEXT, [ctypes.c_int], False),
    "open": (HANDLE, [TEXT, ctypes.POINTER(Options)], True),
    "close": (None, [HANDLE], False),
    "n_inputs": (SIZE_T, [HANDLE], False),
    "n_outputs": (SIZE_T, [HANDLE], False),
    "input": (ctypes.c_int, [HANDLE, SIZE_T, ctypes.POINTER(PortStruct)], True),
    "output": (ctypes.c_int, [HANDLE, SIZE_T, ctypes.POINTER(PortStruct)], True),
    "label": (TEXT, [HANDLE, INT64], False),
    "manifest": (TEXT, [HANDLE], True),
    "save": (ctypes.c_int, [HANDLE, TEXT], True),
    "verify": (ctypes.c_int, [HANDLE, SAY, ctypes.c_void_p], True),
    "session_new": (HANDLE, [HANDLE, ctypes.POINTER(SessionOptions)], True),
    "session_free": (None, [HANDLE], False),
    "run": (ctypes.c_int, [HANDLE, ctypes.POINTER(Tensor), SIZE_T, ctypes.POINTER(Tensor), SIZE_T], True),
    "reset": (ctypes.c_int, [HANDLE], True),
    "preprocess": (ctypes.c_int, [HANDLE, SIZE_T, ctypes.POINTER(Image), ctypes.POINTER(Tensor)], True),
    "score": (ctypes.c_int, [HANDLE, ctypes.POINTER(Image), SIZE_T, ctypes.POINTER(Answer), SIZE_T], True),
}


def _load():
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "libtenrec.so")
    names = [os.environ.get("TENREC_LIBRARY"), here if os.path.exists(here) else None,
             ctypes.util.find_library("tenrec"), "libtenrec.so.0"]
    path = next(name for name in names if name)
    try:
        library = ctypes.CDLL(path)
    except OSError as reason:
        raise ImportError(f"libtenrec.so is needed: {reason}; TENREC_LIBRARY may say where it is") from None
    for name, (result, arguments, fallible) in _FUNCTIONS.items():
        function = getattr(library, "tenrec_" + name)
        function.restype = result
        function.argtypes = arguments + ([_ERROR] if fallible else [])
    return library


_library = _load()


_process = os.getpid()
_worker = None


def _in_thread(function, *arguments):
    """OpenMP's threads do not come along into a forked process, and the thread that came waits for them for ever; one
    that began there has its own."""
    global _worker
    if not _worker or _worker[0] != os.getpid():
        _worker = os.getpid(), ThreadPoolExecutor(1)
    return _worker[1].submit(function, *arguments).result()


def call(name, *arguments):
    """Calls tenrec_NAME; raises Error where it failed, else gives what it returned."""
    function = getattr(_library, "tenrec_" + name)
    if not _FUNCTIONS[name][2]:
        return function(*arguments)
    error = ErrorStruct()
    if _process == os.getpid():
        result = function(*arguments, ctypes.byref(error))
    else:
        result = _in_thread(function, *arguments, ctypes.byref(error))
    if error.code:
        raise Error(error.code, error.text.decode(errors="replace"))
    return result


def version():
    return call("version").decode()
