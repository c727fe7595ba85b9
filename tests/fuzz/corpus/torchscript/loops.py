class M(Module):
  __parameters__ = ["w", "b", ]
  __buffers__ = []
  w : Tensor
  b : Tensor
  training : bool
  n : Final[int] = 3
  def forward(self: __torch__.M,
    x: Tensor) -> Tuple[Tensor, List[int]]:
    l = annotate(List[int], [])
    y = x
    for i in range(torch.size(x, 1)):
      _0 = torch.append(l, torch.mul(i, self.n))
      y = torch.add(y, l[i])
    c = True
    while c:
      c = torch.__not__(c)
    self.b = torch.sum(y, [1])
    p = __torch__.Pair(y, l)
    q = p.first
    _1, _2, = torch.chunk(q, 2, 0)
    v = torch.select(_1, 0, -1)
    _3 = torch.mul_(v, 1.5)
    return (q, l)
class Pair(NamedTuple):
  first : Tensor
  second : List[int]
class Color(Enum):
  RED = 1
