"""The families of networks, one file each. To add one, write a file and one entry of `FAMILIES`."""

from vgexp.config import own
from vgexp.networks.families import dense, highway, plain, residual, reversible
from vgexp.networks.family import Family

FAMILIES: dict[str, Family] = {
    "plain": plain.FAMILY,
    "residual": residual.FAMILY,
    "highway": highway.FAMILY,
    "dense": dense.FAMILY,
    "reversible": reversible.FAMILY,
}
own(FAMILIES)
