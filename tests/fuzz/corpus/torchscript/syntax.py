op_version_set = 1
import __torch__.m
class E:
class C(Module):
  __parameters__ = []
  __annotations__ = []
  __annotations__["0"] = __torch__.m.D
  a : Optional[Dict[str, Tuple[()]]]
  k : Final[List[float]] = [1., -2.5e-3, inf]
  def g(self, x=3):
    return x
def f(x: int, y: Tuple[int, str]=(1, "a\"\n\101"), ) -> NoneType:
  with torch.no_grad() as g:
    pass
  def h():
    return 2
  a, b = unchecked_cast(int, x), uninitialized(Tensor)
  d = {"k": [1, 2], 3: (x, ), }
  e = isinstance(x, (list, tuple))
  i : Optional[int] = getattr(x, "0")
  c = 1.0+2.0j
  x.y = y[1:2]
  ops.prim.RaiseException(torch.format("{}", x), "builtins.ValueError")
  return None, CONSTANTS.c0
