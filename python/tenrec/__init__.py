"""Tenrec from Python: models of any framework, scored without the framework.

    >>> import tenrec
    >>> model = tenrec.Model("x.tenrec")
    >>> model.predict("cat.jpg").best
    ('tabby cat', 0.83)

Arrays are numpy's. Nothing is compiled: this is ctypes over libtenrec.so, found in TENREC_LIBRARY, beside this
package, or where the system keeps its libraries.
"""
from .answers import Boxes, Classes, Mask
from .model import Model, Port
from .native import Error, version

__all__ = ["Model", "Port", "Boxes", "Classes", "Mask", "Error", "version"]
__version__ = version()
