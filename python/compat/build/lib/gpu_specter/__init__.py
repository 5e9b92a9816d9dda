"""spextral behind the names of gpu_specter that the DESI pipeline uses."""

# The version that frames' headers tell: which engine it was.
__version__ = "0.1.0+spextral"
