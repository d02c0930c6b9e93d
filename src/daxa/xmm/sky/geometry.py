"""Geometry of the EPIC cameras: RAW pixels, detector plane, telescope angles and the sky.

Coordinates (CAL handbook, "coordinate systems"; values and conventions fitted to real results of
``ecoordconv``):

RAWX, RAWY
    pixel numbers from 1, integers at pixel centres.
DETX, DETY
    plane perpendicular to the telescope's optical axis, in 0.05 arcsec: with (x, y) the distances from the
    axis in radians, the direction of a sky source is proportional to (1, x, y) in the camera's frame. MOS
    chips stand in front of it (see :mod:`daxa.xmm.ccf.chip_heights`).
theta, phi
    angle from the telescope's optical axis [arcsec] and azimuth [rad], phi = 0 towards the position
    angle PA of the spacecraft and growing towards PA - 90 deg.

Parameters
----------
detx, dety
    Positions [0.05 arcsec], of shapes that go together.
ccd
    Number of the CCD.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daxa.xmm.ccf.chip_heights import chip_factors, chip_heights
from daxa.xmm.errors import UnknownLayout
from daxa.xmm.formats.eventlist import IMAGE_SHAPES, UNIT_ARCSEC
from daxa.xmm.sky.detector_region import Region
from daxa.xmm.sky.rotations import (
    DET_UNIT_RAD,
    attitude_frame,
    boresight_matrix,
    camera_vectors,
    check_orientation,
)
from daxa.xmm.sky.tangent import direction, position

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.ccf.constituent import Constituent, Table

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


class CameraGeometry:
    """Positions of one camera's pixels, on the detector and on the sky, at one epoch.

    Parameters
    ----------
    instrument
        ``EMOS1``, ``EMOS2`` or ``EPN``.
    pixels
        CCD and node -> matrix of shape (2, 2) and offset of shape (2,) that make DETX, DETY of RAWX, RAWY.
    boresight
        Rotation of shape (3, 3) from the spacecraft frame to the camera's.
    field_of_view
        Region that sees the sky.
    corner
        Region of the dark corners; None: all outside the field of view.
    optics
        CCD, RAWX and RAWY of the optical axis; None: DETX and DETY are 0 there.
    shades
        CCD -> CCDs in front of it -> how far these shade it beyond their edges [pixel].

    Attributes
    ----------
    instrument
        ``EMOS1``, ``EMOS2`` or ``EPN``.
    ccds
        CCD numbers.
    optical_axis
        DETX, DETY of the telescope's optical axis.
    boresight
        Rotation from the spacecraft frame (view, PA + 90 deg, PA) to the camera's (optical axis, +DETX,
        +DETY).
    """

    def __init__(
        self,
        instrument: str,
        pixels: dict[tuple[int, int], tuple[FloatArray, FloatArray]],
        boresight: FloatArray,
        field_of_view: Region,
        corner: Region | None = None,
        optics: tuple[int, float, float] | None = None,
        shades: Mapping[int, Mapping[int, float]] | None = None,
    ) -> None:
        self.instrument = instrument
        self._shades = shades or {}
        self.ccds = np.array(sorted({ccd for ccd, _ in pixels}))
        self.boresight = boresight
        self.field_of_view = field_of_view
        self.corner = corner
        self._shape = IMAGE_SHAPES[instrument.rstrip("12")]
        if instrument.startswith("EMOS"):
            pixels = _redundant_nodes(pixels, self._shape[0]) | pixels
        size = int(self.ccds[-1]) + 1
        nodes = 1 + max(node for _, node in pixels)
        # Rows of matrices for CCDs or nodes that do not exist stay NaN.
        self._matrix = np.full((size, nodes, 2, 2), np.nan)
        self._origin = np.full((size, nodes, 2), np.nan)
        for (ccd, node), (matrix, origin) in pixels.items():
            self._matrix[ccd, node], self._origin[ccd, node] = matrix, origin
        flat, shift = self._matrix.reshape(-1, 2, 2), self._origin.reshape(-1, 2)
        self._table = [v for i in (0, 1) for v in (flat[:, i, 0], flat[:, i, 1], shift[:, i])]
        self._table = [np.ascontiguousarray(v) for v in self._table]
        self.optical_axis = (0.0, 0.0)
        if optics is not None:
            x, y = self.raw_to_det(*optics)
            self.optical_axis = float(x), float(y)
        # phi counts from the spacecraft's PA: which detector axes lie along it, to a quarter turn.
        turn = np.round(np.arctan2(boresight[1, 2], boresight[1, 1]) / (np.pi / 2)) * (np.pi / 2)
        c, s = np.round(np.cos(turn)), np.round(np.sin(turn))
        self._across, self._along = np.array([c, -s]), np.array([s, c])

    @classmethod
    def from_calibration(
        cls,
        cal: Calibration,
        instrument: str,
        time_s: float,
        *,
        chip_temperature_k: float | None = None,
        heights: bool = True,
    ) -> CameraGeometry:
        """Geometry from LINCOORD, MISCDATA and BORESIGHT.

        Parameters
        ----------
        cal
            The calibration.
        instrument
            ``EMOS1``, ``EMOS2`` or ``EPN``.
        time_s
            Mission time for the slow changes of the boresight.
        chip_temperature_k
            Apply the thermal contraction of the chips (about their centres) at this temperature; by
            default the alignment data are used as they are.
        heights
            Take the heights of the MOS chips into account, as `emevents` does; `ecoordconv` does not.

        Raises
        ------
        MissingConstituent, UnknownLayout
            The calibration lacks something.
        """
        lincoord = cal.constituent(instrument, "LINCOORD")
        table = lincoord.table("LINCOORD")

        def number(name: str) -> float:
            return lincoord.number(name, "LINCOORD")

        def size(name: str) -> float:
            if not number(name):
                raise UnknownLayout(f"{table.where}, keyword {name}: 0 is not a size")
            return number(name)

        px, py = size("MM_PX_X"), size("MM_PX_Y")
        shift = np.array([number("CC12_TX"), number("CC12_TY")])
        scale = np.array([size("ARC_MM_X"), size("ARC_MM_Y")]) / UNIT_ARCSEC
        stretch = 1.0
        if chip_temperature_k is not None:
            stretch += number("EXP_CHIP") * (chip_temperature_k - number("R_CHIP_T"))
        factors = chip_factors(cal, instrument) if heights else np.ones(table.n_rows)
        pixels = {}
        for i, factor in enumerate(factors):
            c, s = np.cos(table["PHI0"][i]), np.sin(table["PHI0"][i])
            c, s = (0.0 if abs(v) < 1e-12 else v for v in (c, s))
            turn = np.array([[c, -s], [s, c]]) * np.array([px, py]) * stretch
            raw0 = np.array([table["RAWX0"][i], table["RAWY0"][i]])
            centre = np.array([table["X0"][i], table["Y0"][i]])
            pixels[int(table["CCD_ID"][i]), int(table["NODE_ID"][i])] = (
                factor * scale[:, None] * turn,
                factor * scale * (centre - turn @ raw0 + shift),
            )
        corner = Region.of(lincoord, "CORNER") if instrument != "EPN" else None
        optics = (
            int(cal.misc(instrument, "OPTICS_CCD")),
            cal.misc(instrument, "OPTICS_X"),
            cal.misc(instrument, "OPTICS_Y"),
        )
        if (optics[0], 0) not in pixels:
            where = cal.constituent("XMM", "MISCDATA").path.name
            raise UnknownLayout(f"{where}[MISCDATA], row OPTICS_CCD of {instrument}: no CCD {optics[0]}")
        boresight = boresight_matrix(cal, instrument, time_s)
        check_orientation(instrument, boresight)
        result = cls(
            instrument,
            pixels,
            boresight,
            Region.of(lincoord, "FOV"),
            corner,
            optics,
            _shades(lincoord, table, chip_heights(cal, instrument)),
        )
        # The axis is a direction: it lies where its pixel would in the focal plane (assumed; 0.006 arcsec).
        factor = float(factors[table["CCD_ID"] == optics[0]][0])
        result.optical_axis = result.optical_axis[0] / factor, result.optical_axis[1] / factor
        return result

    def shape(self, ccd: int) -> tuple[int, int]:
        """Number of columns and rows of a CCD.

        Raises
        ------
        ValueError
            There is no such CCD.
        """
        if ccd not in self.ccds:
            raise ValueError(f"{self.instrument} has no CCD {ccd}")
        return self._shape

    # --- pixels and the detector plane ---

    def raw_to_det(
        self, ccd: npt.ArrayLike, rawx: npt.ArrayLike, rawy: npt.ArrayLike, node: npt.ArrayLike = 0
    ) -> tuple[FloatArray, FloatArray]:
        """DETX, DETY (real-valued) of pixels; integers are pixel centres.

        Parameters
        ----------
        ccd
            Numbers of the CCDs.
        rawx, rawy
            Pixels; shapes go together.
        node
            Read-out nodes, 0 the primary one.

        Raises
        ------
        ValueError
            The calibration has no such CCD or read-out node.
        """
        ccd, node = np.asarray(ccd, dtype=np.intp), np.asarray(node, dtype=np.intp)
        rawx, rawy = np.asarray(rawx, float), np.asarray(rawy, float)
        size, nodes = self._matrix.shape[:2]
        if np.any((ccd < 0) | (ccd >= size)) or np.any((node < 0) | (node >= nodes)):
            raise ValueError(f"{self.instrument}: no such CCD or node; CCDs are {self.ccds.tolist()}")
        # Six numbers per CCD and node, gathered one by one: matrices per event would take much memory.
        row = ccd * nodes + node
        coefficients = [self._table[i][row] for i in range(6)]
        if np.isnan(coefficients[2]).any():
            raise ValueError(f"{self.instrument}: no such CCD or node; CCDs are {self.ccds.tolist()}")
        ax, bx, cx, ay, by, cy = coefficients
        return ax * rawx + bx * rawy + cx, ay * rawx + by * rawy + cy

    def _to_pixel(self, ccd: int, detx: FloatArray, dety: FloatArray) -> tuple[FloatArray, FloatArray]:
        inverse = np.linalg.inv(self._matrix[ccd, 0])
        dx, dy = detx - self._origin[ccd, 0, 0], dety - self._origin[ccd, 0, 1]
        return inverse[0, 0] * dx + inverse[0, 1] * dy, inverse[1, 0] * dx + inverse[1, 1] * dy

    def det_to_raw(
        self, detx: npt.ArrayLike, dety: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.int64], FloatArray, FloatArray]:
        """CCD and real-valued RAWX, RAWY (primary node) of detector positions.

        Returns
        -------
        ccd, rawx, rawy
            ``ccd`` is 0 (RAW NaN) where there is no pixel. Where MOS CCDs overlap, the outer one, which
            stands in front of CCD 1, has the position.
        """
        detx, dety = np.broadcast_arrays(np.asarray(detx, float), np.asarray(dety, float))
        shape = detx.shape
        detx, dety = detx.ravel(), dety.ravel()
        number = np.zeros(detx.shape, dtype=np.int64)
        rawx, rawy = np.full(detx.shape, np.nan), np.full(detx.shape, np.nan)
        rest = np.arange(detx.size)
        nx, ny = self._shape
        for ccd in self.ccds[::-1].tolist():
            x, y = self._to_pixel(ccd, detx[rest], dety[rest])
            here = (x >= 0.5) & (x < nx + 0.5) & (y >= 0.5) & (y < ny + 0.5)
            found = rest[here]
            number[found], rawx[found], rawy[found] = ccd, x[here], y[here]
            rest = rest[~here]
        return number.reshape(shape), rawx.reshape(shape), rawy.reshape(shape)

    def covered(self, ccd: int) -> BoolArray:
        """Pixels of a CCD that another one stands in front of, shape (rows, columns).

        Raises
        ------
        ValueError
            There is no such CCD.
        """
        nx, ny = self.shape(ccd)
        result = np.zeros((ny, nx), dtype=bool)
        for other in self.ccds[self.ccds > ccd].tolist():
            # Only the part that the other one's corners enclose has to be looked at.
            edge = self.raw_to_det(other, np.array([0.5, nx + 0.5] * 2), np.repeat([0.5, ny + 0.5], 2))
            x, y = self._to_pixel(ccd, *edge)
            low_x, high_x = np.clip([x.min(), x.max() + 2], 1, nx + 1).astype(int)
            low_y, high_y = np.clip([y.min(), y.max() + 2], 1, ny + 1).astype(int)
            rawy, rawx = np.mgrid[low_y:high_y, low_x:high_x]
            x, y = self._to_pixel(other, *self.raw_to_det(ccd, rawx, rawy))
            hidden = (x >= 0.5) & (x < nx + 0.5) & (y >= 0.5) & (y < ny + 0.5)
            result[rawy[hidden] - 1, rawx[hidden] - 1] = True
        return result

    def nearest_pixel(
        self, detx: npt.ArrayLike, dety: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.int64], FloatArray, FloatArray]:
        """Like :meth:`det_to_raw`, with the nearest CCD (and RAW beyond its edge) where there is no pixel."""
        detx, dety = np.broadcast_arrays(np.asarray(detx, float), np.asarray(dety, float))
        number, rawx, rawy = self.det_to_raw(detx, dety)
        gap = number == 0
        if np.any(gap):
            nx, ny = self._shape
            gx, gy = detx[gap], dety[gap]
            best = np.full(gx.shape, np.inf)
            found = np.zeros((3, *gx.shape))
            for ccd in self.ccds.tolist():
                x, y = self._to_pixel(ccd, gx, gy)
                outside = np.hypot(x - np.clip(x, 0.5, nx + 0.5), y - np.clip(y, 0.5, ny + 0.5))
                closer = outside < best
                best[closer] = outside[closer]
                found[:, closer] = np.stack([np.full(gx.shape, ccd), x, y])[:, closer]
            number[gap], rawx[gap], rawy[gap] = found[0].astype(np.int64), found[1], found[2]
        return number, rawx, rawy

    def in_fov(self, detx: npt.ArrayLike, dety: npt.ArrayLike) -> BoolArray:
        """Which detector positions lie in the field of view."""
        return self.field_of_view.contains(detx, dety)

    def fov_mask(self, ccd: int) -> BoolArray:
        """Pixels of a CCD that see the sky: centres in the field of view and not behind another CCD.

        Shape (rows, columns). Shades reach beyond the edge of the CCD that casts them by the widths in the
        header of LINCOORD; without those keywords nothing is shaded.

        Raises
        ------
        ValueError
            There is no such CCD.
        """
        nx, ny = self.shape(ccd)
        rawx, rawy = np.meshgrid(np.arange(1, nx + 1), np.arange(1, ny + 1))
        detx, dety = self.raw_to_det(ccd, rawx, rawy)
        seen = self.in_fov(detx, dety)
        for front, width in self._shades.get(ccd, {}).items():
            # Only where the front CCD's outline, widened, lies.
            outline = self.raw_to_det(front, [0.5, nx + 0.5, 0.5, nx + 0.5], [0.5, 0.5, ny + 0.5, ny + 0.5])
            x, y = self._to_pixel(ccd, *outline)
            place = (
                slice(max(0, int(y.min() - width) - 1), max(0, int(y.max() + width) + 1)),
                slice(max(0, int(x.min() - width) - 1), max(0, int(x.max() + width) + 1)),
            )
            x, y = self._to_pixel(front, detx[place], dety[place])
            beyond = np.hypot(x - np.clip(x, 0.5, nx + 0.5), y - np.clip(y, 0.5, ny + 0.5))
            seen[place] &= beyond > width
        return seen

    def in_corner(self, detx: npt.ArrayLike, dety: npt.ArrayLike) -> BoolArray:
        """Which detector positions lie in the dark corners used for the particle background.

        Without a CORNER table (pn): everything outside the field of view.
        """
        if self.corner is None:
            return ~self.in_fov(detx, dety)
        return self.corner.contains(detx, dety)

    # --- the telescope ---

    def from_axis(self, detx: npt.ArrayLike, dety: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """DETX, DETY counted from the optical axis [0.05 arcsec].

        Parameters
        ----------
        detx, dety
            Positions [0.05 arcsec].
        """
        return np.asarray(detx, float) - self.optical_axis[0], np.asarray(dety, float) - self.optical_axis[1]

    def off_axis(self, detx: npt.ArrayLike, dety: npt.ArrayLike) -> FloatArray:
        """Angle from the optical axis [arcsec].

        Parameters
        ----------
        detx, dety
            Positions [0.05 arcsec].
        """
        return UNIT_ARCSEC * np.hypot(*self.from_axis(detx, dety))

    def det_to_tel(self, detx: npt.ArrayLike, dety: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Off-axis angle theta [arcsec] and azimuth phi [rad, 0 to 2 pi].

        Parameters
        ----------
        detx, dety
            Positions [0.05 arcsec].
        """
        u, v = (UNIT_ARCSEC * offset for offset in self.from_axis(detx, dety))
        along = u * self._along[0] + v * self._along[1]
        across = u * self._across[0] + v * self._across[1]
        return np.hypot(u, v), np.arctan2(-across, along) % (2 * np.pi)

    def tel_to_det(
        self, theta_arcsec: npt.ArrayLike, phi_rad: npt.ArrayLike
    ) -> tuple[FloatArray, FloatArray]:
        """DETX, DETY of telescope angles; inverse of :meth:`det_to_tel`.

        Parameters
        ----------
        theta_arcsec
            Angles from the optical axis [arcsec].
        phi_rad
            Azimuths [rad].
        """
        theta, phi = np.asarray(theta_arcsec, float), np.asarray(phi_rad, float)
        along, across = theta * np.cos(phi), -theta * np.sin(phi)
        u = along * self._along[0] + across * self._across[0]
        v = along * self._along[1] + across * self._across[1]
        return u / UNIT_ARCSEC + self.optical_axis[0], v / UNIT_ARCSEC + self.optical_axis[1]

    # --- the sky ---

    def to_sky_matrix(
        self, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike, pa_deg: npt.ArrayLike
    ) -> FloatArray:
        """Rotation (..., 3, 3) that takes camera vectors (axis, +DETX, +DETY) to J2000 for an attitude.

        Parameters
        ----------
        ra_deg, dec_deg, pa_deg
            Viewing directions and position angles [deg], shape (...).
        """
        return np.swapaxes(self.boresight @ attitude_frame(ra_deg, dec_deg, pa_deg), -1, -2)

    def det_to_sky(
        self,
        detx: npt.ArrayLike,
        dety: npt.ArrayLike,
        ra_pnt_deg: npt.ArrayLike,
        dec_pnt_deg: npt.ArrayLike,
        pa_deg: npt.ArrayLike,
    ) -> tuple[FloatArray, FloatArray]:
        """Right ascension and declination [deg] of detector positions, for an attitude [deg].

        Parameters
        ----------
        detx, dety
            Positions [0.05 arcsec].
        ra_pnt_deg, dec_pnt_deg, pa_deg
            Viewing directions and position angles, numbers or one per position.
        """
        vectors = camera_vectors(*self.from_axis(detx, dety))
        rotation = self.to_sky_matrix(ra_pnt_deg, dec_pnt_deg, pa_deg)
        return position(np.einsum("...ij,...j->...i", rotation, vectors))

    def sky_to_det(
        self,
        ra_deg: npt.ArrayLike,
        dec_deg: npt.ArrayLike,
        ra_pnt_deg: npt.ArrayLike,
        dec_pnt_deg: npt.ArrayLike,
        pa_deg: npt.ArrayLike,
    ) -> tuple[FloatArray, FloatArray]:
        """DETX, DETY of sky positions, for an attitude [deg]; NaN behind the telescope.

        Parameters
        ----------
        ra_deg, dec_deg
            Positions on the sky [deg].
        ra_pnt_deg, dec_pnt_deg, pa_deg
            Viewing directions and position angles, numbers or one per position.
        """
        rotation = self.to_sky_matrix(ra_pnt_deg, dec_pnt_deg, pa_deg)
        v = np.einsum("...ji,...j->...i", rotation, direction(ra_deg, dec_deg))
        depth = np.where(v[..., 0] > 0, v[..., 0], np.nan)
        x, y = v[..., 1] / depth / DET_UNIT_RAD, v[..., 2] / depth / DET_UNIT_RAD
        return x + self.optical_axis[0], y + self.optical_axis[1]


def _shades(lincoord: Constituent, table: Table, height_mm: FloatArray) -> dict[int, dict[int, float]]:
    """Per CCD those in front of it and how far [pixel] their shades reach over it."""
    names = ("SHADE_C", "SHADE_O")
    if None in [lincoord.keyword(name, "LINCOORD") for name in names]:
        return {}
    widths = [lincoord.number(name, "LINCOORD") for name in names]
    ccds, heights = table["CCD_ID"].tolist(), height_mm.tolist()
    lowest = min(heights)
    return {
        int(behind): {
            int(front): widths[0] if z == lowest else widths[1]
            for front, above in zip(ccds, heights, strict=True)
            if above > z
        }
        for behind, z in zip(ccds, heights, strict=True)
    }


def _redundant_nodes(
    pixels: dict[tuple[int, int], tuple[FloatArray, FloatArray]], n_columns: int
) -> dict[tuple[int, int], tuple[FloatArray, FloatArray]]:
    """Node 1 of CCDs: its columns count from the other side (CAL handbook, PIXCOORD1)."""
    return {
        (ccd, 1): (matrix * np.array([-1.0, 1.0]), origin + (n_columns + 1) * matrix[:, 0])
        for (ccd, node), (matrix, origin) in pixels.items()
        if node == 0
    }
