"""The product files of evselect: which bins they have, and how they are written."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.fits.file import block_bytes, image_bytes, primary_header
from daxa.xmm.fits.header import Header
from daxa.xmm.fits.schema import Table
from daxa.xmm.notes import FALLBACK_KEYWORD, add_fallbacks
from daxa.xmm.parameters import Parameters
from daxa.xmm.select.expression import Selection
from daxa.xmm.select.held import Nulls, ranges_of, span
from daxa.xmm.select.products import (
    Counter,
    Extremes,
    Grid,
    histogram_table,
    image_dtype,
    image_grid,
    image_keywords,
    light_curve_table,
    spectrum_table,
)
from daxa.xmm.select.regions import ColumnSky
from daxa.xmm.select.source import Restriction, Source
from daxa.xmm.task import TaskContext

_OF_INPUT = re.compile(r"XDAL\d+|XPROC\d+|CREATOR|DATE|VERIFIED|SYNTHCAL")
_TIME_KEYS = ("TIMESYS", "TIMEUNIT", "TIMEREF", "TASSIGN", "CLOCKAPP", "MJDREF", "TIMEZERO")


class Outputs:
    """Products asked for by the parameters.

    Parameters
    ----------
    ctx, p
        The running task and its parameters.
    source
        The table selected from.
    restriction
        What the selection does to the data subspace.
    slctexpr
        Value of SLCTEXPR.
    """

    def __init__(
        self, ctx: TaskContext, p: Parameters, source: Source, restriction: Restriction, slctexpr: str
    ) -> None:
        self.ctx = ctx
        self.p = p
        self.source = source
        self.restriction = restriction
        self.slctexpr = slctexpr
        self._extremes: Extremes | None = None
        self._counters: dict[str, Counter] = {}
        self._ccds: Counter | None = None
        self._nulls = Nulls({})

    @property
    def expression_card(self) -> tuple[str, str]:
        """Value and comment of SLCTEXPR; no comment where it would not fit on the card."""
        fits_beside = len(self.slctexpr) < 28 or len(self.slctexpr) > 68
        return self.slctexpr, "Filtering expression used by evselect" if fits_beside else ""

    # ranges and bins
    def _wanted(self) -> dict[str, tuple[bool, str, str, str, str]]:
        """Axis -> wanted, column, switch, lower and upper parameter."""
        p = self.p
        return {
            "x": (p.withimageset, p.xcolumn, "withxranges", "ximagemin", "ximagemax"),
            "y": (p.withimageset, p.ycolumn, "withyranges", "yimagemin", "yimagemax"),
            "spectrum": (
                p.withspectrumset,
                p.energycolumn,
                "withspecranges",
                "specchannelmin",
                "specchannelmax",
            ),
            "rate": (p.withrateset, p.timecolumn, "withtimeranges", "timemin", "timemax"),
            "histogram": (
                p.withhistogramset,
                p.histogramcolumn,
                "withhistoranges",
                "histogrammin",
                "histogrammax",
            ),
        }

    def _legal(self, column: str) -> tuple[float, float] | None:
        if self.p.ignorelegallimits:
            return None
        low, high = (self.source.table.keyword(k, column) for k in ("TLMIN", "TLMAX"))
        return None if low is None or high is None else (low, high)

    def _given(self, axis: str) -> tuple[float, float] | None:
        _, column, switch, low, high = self._wanted()[axis]
        if not self.p[switch]:
            return None
        least, most = self.p[low], self.p[high]
        legal = self._legal(column)
        if axis == "spectrum" and legal and (least < legal[0] or most > legal[1]):
            self.ctx.warn(
                "rangeClipped", f"channels {least} to {most} exceed the legal limits {legal[0]} to {legal[1]}"
            )
            least, most = max(least, legal[0]), min(most, legal[1])
        return least, most

    def open_columns(self) -> list[str]:
        """Columns whose range has to be found in the data."""
        names = []
        for axis, (wanted, column, *_) in self._wanted().items():
            if not wanted:
                continue
            self._check(column)
            if self._known(axis) is None:
                names.append(column)
        return list(dict.fromkeys(names))

    def set_extremes(self, extremes: Extremes) -> None:
        """Take the ranges found in the data.

        Parameters
        ----------
        extremes
            Lowest and highest value of each column whose range was asked for.
        """
        self._extremes = extremes

    def _check(self, column: str) -> None:
        self.source.table.number(column)
        if self.source.table.fields[column].dtype.shape:
            raise TaskError("badColumn", f"column {column} holds vectors")

    def _integer(self, column: str) -> bool:
        field = self.source.table.fields[column]
        return field.dtype.kind in "iu" and field.scale.is_integer() and field.zero.is_integer()

    def _span(self, axis: str) -> tuple[float, float] | None:
        """TSTART and TSTOP of the table, from where to where its light curves run, also in SAS."""
        header = self.source.header
        if axis != "rate" or self.p.timecolumn.upper() != "TIME" or not {"TSTART", "TSTOP"} <= set(header):
            return None
        start, stop = (header[key] for key in ("TSTART", "TSTOP"))
        return (float(start), float(stop)) if start < stop else None

    def _known(self, axis: str) -> tuple[float, float] | None:
        """Range of an axis, unless it has to be found in the data."""
        return self._given(axis) or self._legal(self._wanted()[axis][1]) or self._span(axis)

    def _range(self, axis: str) -> tuple[float, float]:
        column = self._wanted()[axis][1]
        limits = self._known(axis)
        if limits is None and self._extremes is not None:
            low, high = self._extremes.low[column], self._extremes.high[column]
            limits = (low, high) if math.isfinite(low) else self._without_events(column)
        if limits is None:
            raise TaskError("noRange", f"column {column}: no range given")
        if self._integer(column):
            return math.ceil(limits[0]), math.floor(limits[1])
        return limits

    def _without_events(self, column: str) -> tuple[float, float]:
        """Range of a column that no selected row has a value of: the exposure for times, else nothing."""
        if column.upper() != "TIME":
            return 0.0, 0.0
        good = span(self.restriction.gti.values())
        if good is not None:
            return good
        source = self.source
        start, stop = (source.header.get(k, source.primary.get(k)) for k in ("TSTART", "TSTOP"))
        return (0.0, 0.0) if start is None or stop is None else (float(start), float(stop))

    def check(self, kept: int, selection: Selection) -> None:
        """Warn if no row is selected, none falls into a product, or some have no coordinates.

        Parameters
        ----------
        kept
            Number of selected rows.
        selection
            What has selected them.
        """
        source, ctx = self.source, self.ctx
        if not kept:
            said = ranges_of(source.table, selection.names)
            ctx.warn(
                "noEvents",
                f"none of the {source.table.count} rows of {source.given} is selected"
                + (f"; in this list {said}" if said else ""),
            )
            return
        for kind, counter in self._counters.items():
            if not counter.values().any():
                grids = ", ".join(g.extent(self._integer(g.column)) for g in counter.grids)
                said = ranges_of(source.table, [g.column for g in counter.grids])
                ctx.warn(
                    "emptyProduct",
                    f"none of the {kept} selected rows falls into the {kind} of {grids}; in this list {said}",
                )
        if self._nulls.count:
            ctx.warn(
                "nullCoordinates",
                f"{self._nulls.count} of {kept} selected rows have no {', '.join(self._nulls.nulls)} and are "
                "not in the image",
            )

    def counters(self) -> list[Counter | Nulls]:
        """Counters of all products, to be fed with the selected rows."""
        p = self.p
        weight = p.zcolumn if p.withzcolumn else None
        error = p.zerrorcolumn if p.withzerrorcolumn else None
        for name in (weight, error):
            if name:
                self._check(name)
        if p.withimageset:
            self._counters["image"] = Counter(self._image_grids(), weight, error)
        if p.withspectrumset:
            column = p.energycolumn
            low, high = self._range("spectrum")
            if not self._integer(column):
                self.ctx.warn("realChannels", f"values of {column} are truncated to integers")
                low, high = math.floor(low), math.floor(high)
            if (high - low + 1) % p.spectralbinsize and not p.nonStandardSpec:
                self.ctx.warn(
                    "nonStandardSpec",
                    f"{high - low + 1:g} channels are not a multiple of {p.spectralbinsize}",
                )
            count = int((high - low) // p.spectralbinsize) + 1
            self._counters["spectrum"] = Counter(
                (Grid(column, low, p.spectralbinsize, count),), weight, error
            )
        if p.withrateset:
            low, high = self._range("rate")
            if p.timebinsize <= 0:
                raise TaskError("badBinSize", f"timebinsize={p.timebinsize}: expected a positive number")
            count = max(1, math.ceil((high - low) / p.timebinsize - 1e-9))
            self._counters["rate"] = Counter(
                (Grid(p.timecolumn, low, p.timebinsize, count, closed=True),), weight, error
            )
        if p.withhistogramset:
            column = p.histogramcolumn
            low, high = self._range("histogram")
            grid = image_grid(column, low, high, self._integer(column), size=None, step=p.histogrambinsize)
            self._counters["histogram"] = Counter((grid,), weight, error)
        result: list[Counter | Nulls] = list(self._counters.values())
        if p.withimageset:
            found = {c: self.source.table.keyword("TNULL", c) for c in (p.xcolumn, p.ycolumn)}
            self._nulls = Nulls({c: int(null) for c, null in found.items() if null is not None})
            result.append(self._nulls)
        if (p.withspectrumset or p.withrateset) and self.restriction.live:
            self._ccds = Counter((Grid("CCDNR", 0, 1, 256),))
            result.append(self._ccds)
        return result

    def _image_grids(self) -> tuple[Grid, Grid]:
        p = self.p
        by_size = p.imagebinning == "imageSize"

        def grid(axis: str, column: str, size: int, step: float) -> Grid:
            low, high = self._range(axis)
            return image_grid(
                column, low, high, self._integer(column),
                size=size if by_size else None, step=None if by_size else step,
            )  # fmt: skip

        x = grid("x", p.xcolumn, p.ximagesize, p.ximagebinsize)
        y = grid("y", p.ycolumn, p.yimagesize, p.yimagebinsize)
        if p.squarepixels and x.step != y.step:
            step = max(x.step, y.step)
            x, y = (
                image_grid(g.column, *self._range(a), self._integer(g.column), size=None, step=step)
                for a, g in (("x", x), ("y", y))
            )
        if p.withcelestialcenter:
            sky = ColumnSky.from_header(self.source.header)
            if sky is None or sky.names != (p.xcolumn, p.ycolumn):
                raise TaskError(
                    "noCelestialColumns",
                    f"{p.xcolumn}, {p.ycolumn} of {self.source.given} have no celestial coordinates",
                )
            centre = sky.to_xy(p.raimagecenter, p.decimagecenter)
            if not np.all(np.isfinite(centre)):
                raise TaskError("badCentre", "the image centre is more than 90 degrees away")
            x, y = (
                Grid(g.column, round(float(c) - (g.step * g.count - 1) / 2), g.step, g.count, g.closed)
                for g, c in zip((x, y), centre, strict=True)
            )
        return x, y

    # headers
    def _begin(self) -> Header:
        """Keywords of every product: where it comes from, and those of the input file."""
        header = Header()
        self.ctx.provenance(header)
        fallbacks = []
        for card in self.source.primary.copy(strip=True).cards:
            if card.keyword.startswith(FALLBACK_KEYWORD):
                fallbacks.append(str(card.value))
            elif not _OF_INPUT.fullmatch(card.keyword):
                header.append(card)
        add_fallbacks(header, fallbacks)
        header["LONGSTRN"] = "OGIP 1.0"
        return header

    def _copied(self, header: Header) -> None:
        for key in self.p.attributestocopy:
            if key not in self.source.header:
                self.ctx.warn("missingAttribute", f"{self.source.given}: no keyword {key} to copy")
                continue
            header[key] = (self.source.header[key], self.source.header.comments[key])

    def table(self, name: str) -> bytes:
        """An extension that the data subspace refers to: as it is in the input, or a new one.

        Parameters
        ----------
        name
            Name of the extension.

        Returns
        -------
        bytes
            The whole extension, header and data.

        Raises
        ------
        TaskError
            There is none of this name.
        """
        subspace = self.restriction.subspace
        table = subspace.tables.get(name)
        if name in self.source.hdus and table is self.restriction.old.tables.get(name):
            return self.source.hdus[name].read()
        if table is None:
            raise TaskError("missingTable", f"{self.source.given}: the data subspace needs a table {name}")
        if not isinstance(table, GTI):
            return table.to_bytes(name)
        ccds = [
            ccd
            for ccd, component in zip(subspace.ccds(), subspace.components, strict=True)
            if ccd is not None and any(f.table == name for f in component)
        ]
        return table.to_bytes(name, {"CCDID": (ccds[0], "CCD of these intervals")} if ccds else None)

    def _tables(self) -> list[bytes]:
        names = self.restriction.subspace.table_names() if self.p.writedss else []
        result = [self.table(name) for name in names]
        for block in self.p.blockstocopy:
            if block not in self.source.hdus:
                raise TaskError("noTable", f"{self.source.given} has no block {block} (blockstocopy)")
            if block.upper() not in names:
                result.append(self.source.hdus[block].read())
        return result

    def _exposure(self, header: Header) -> None:
        """EXPOSURE of a spectrum or light curve: live times weighted by the events of each CCD."""
        p, live = self.p, self.restriction.live
        if not (p.updateexposure and p.writedss):
            return
        if not live:
            for key in ("EXPOSURE", "LIVETIME"):
                if key in self.source.header:
                    header["EXPOSURE"] = (self.source.header[key], "copied from the input")
                    return
            return
        counts = self._ccds.values() if self._ccds else np.zeros(256, int)
        seen = {c: int(counts[c]) for c in live if counts[c]}
        if seen:
            exposure = sum(live[c] * n for c, n in seen.items()) / sum(seen.values())
        else:
            exposure = max(live.values())
        header["EXPOSURE"] = (exposure, "Weighted live time of the CCDs with events")

    def _frame_times(self) -> list[tuple[str, float, str]]:
        """FRMTIMnn of an image of MOS: the length of a frame of each CCD [s]."""
        tables = {c: self.source.hdus[i].header for c, i in self.restriction.exposures.items()}
        if self.source.header.get("INSTRUME") not in ("EMOS1", "EMOS2"):
            return []
        return [
            (f"FRMTIM{c:02d}", float(h["FRMTIME"]) / 1000, f"[s] Frame time for CCD {c}")
            for c, h in sorted(tables.items())
            if "FRMTIME" in h
        ]

    def _describe(self, header: Header, cards: list[tuple[Any, ...]]) -> None:
        head = self.source.header
        for key in ("TELESCOP", "INSTRUME"):
            if key in head or key in self.source.primary:
                header[key] = head.get(key, self.source.primary.get(key))
        if self.slctexpr:
            header["SLCTEXPR"] = self.expression_card
            header["LONGSTRN"] = "OGIP 1.0"
        if "FILTER" in head or "FILTER" in self.source.primary:
            header["FILTER"] = (head.get("FILTER", self.source.primary.get("FILTER")), "Filter ID")
        for key, *value in cards:
            header[key] = tuple(value)

    # files
    def write(self) -> None:
        """Write every product file."""
        writers = {
            "image": self._write_image,
            "spectrum": self._write_spectrum,
            "rate": self._write_rate,
            "histogram": self._write_histogram,
        }
        for kind, counter in self._counters.items():
            writers[kind](counter)

    def _write(self, name: str, blocks: list[bytes]) -> None:
        with self.ctx.output(name) as path:
            path.write_bytes(b"".join(blocks))

    def _write_image(self, counter: Counter) -> None:
        p = self.p
        values = counter.values()
        data = values.astype(image_dtype(values, p.imagedatatype if p.withimagedatatype else None))
        cards: list[Any] = []
        if self.slctexpr:
            cards.append(("SLCTEXPR", *self.expression_card))
        cards += [
            ("HDUCLASS", "OGIP", "Format conforms to OGIP/GSFC conventions"),
            ("HDUCLAS1", "IMAGE", "File contains an Image"),
            ("HDUCLAS2", "TOTAL", "Gross Image"),
            ("HDUVERS1", "1.1.0", "Version of format"),
        ]
        numbers = tuple(self.source.table.number(g.column) for g in counter.grids)
        cards += image_keywords(self.source.header, counter.grids, numbers)  # type: ignore[arg-type]
        if p.writedss:
            cards += self._frame_times()
            cards += self.restriction.subspace.cards()
            cards += self.restriction.subspace.pair_cards()
            if p.updateexposure:
                ontime = dict(sorted(self.restriction.ontime.items()))
                cards += [
                    (f"ONTIME{c:02d}", t, "Sum of GTIs for a particular CCD") for c, t in ontime.items()
                ]
                if ontime:
                    cards.append(("EXPOSURE", max(ontime.values()), "max of ONTIMEnn values"))
        header = self._begin()
        header.discard(*(c[0] for c in cards))
        header.append(("XMMSEP", len(cards), f"{len(cards)} primary image keywords follow"))
        for card in cards:
            header.append(card)
        self._copied(header)
        blocks = [image_bytes(data, header.cards), *self._tables()]
        errors = counter.errors()
        if errors is not None:
            blocks.append(image_bytes(errors.astype("f4"), extension="ERROR"))
        self._write(p.imageset, blocks)

    def _table_file(self, name: str, made: Table) -> None:
        primary = primary_header()
        for card in self._begin().cards:
            primary.append(card)
        if self.p.writedss:
            self.restriction.subspace.write(made.header)
        self._exposure(made.header)
        self._copied(made.header)
        self._write(name, [block_bytes(primary), made.tobytes(), *self._tables()])

    def _write_rate(self, counter: Counter) -> None:
        p, source = self.p, self.source
        made = light_curve_table(counter, with_time=p.maketimecolumn, with_rate=p.makeratecolumn)
        (grid,) = counter.grids
        _, high = self._range("rate")
        times = [
            (k, source.header.get(k, source.primary.get(k)))
            for k in _TIME_KEYS
            if k in source.header or k in source.primary
        ]
        cards = [
            *times,
            ("HDUCLASS", "OGIP", "Format conforms to OGIP/GSFC conventions"),
            ("HDUCLAS1", "LIGHTCURVE", "File contains a time-serie"),
            ("HDUCLAS2", "TOTAL", "File contains gross rates"),
            (
                "HDUCLAS3",
                "RATE" if p.makeratecolumn else "COUNT",
                f"Light curve stored as {'rates' if p.makeratecolumn else 'counts'}",
            ),
            ("HDUVERS1", "1.1.0", "Version of format"),
            ("TIMEDEL", float(grid.step), "Light curve bin size"),
            ("TSTART", float(grid.minimum), "Light curve start time"),
            ("TSTOP", float(high), "Light curve end time"),
            ("TIMEPIXR", 0.5, "times are the centres of the bins"),
            ("BACKAPP", False, "Background correction applied?"),
            ("DEADAPP", False, "Dead time correction applied?"),
            ("VIGNAPP", False, "Vignetting correction applied?"),
        ]
        column = p.energycolumn
        if column in source.table.fields:
            limits = self.restriction.subspace.limits(column) or self._legal(column)
            if limits is not None:
                cards += [
                    ("CHANMIN", float(limits[0]), "Minimum value of the energy column"),
                    ("CHANMAX", float(limits[1]), "Maximum value of the energy column"),
                    ("CHANTYPE", column, "Name of energy column used"),
                ]
        self._describe(made.header, cards)
        self._table_file(p.rateset, made)

    def _write_spectrum(self, counter: Counter) -> None:
        p = self.p
        made = spectrum_table(counter)
        (grid,) = counter.grids
        cards = [
            ("HDUCLASS", "OGIP", "Format conforms to OGIP/GSFC conventions"),
            ("HDUCLAS1", "SPECTRUM", "File contains a spectrum"),
            ("HDUCLAS2", "TOTAL", "File contains gross counts"),
            ("HDUCLAS3", "COUNT", "Spectrum is stored as counts"),
            ("HDUVERS1", "1.1.0", "Version of format"),
            ("AREASCAL", 1.0, "Nominal scaling factor for data"),
            ("BACKSCAL", 1.0, "Scaling factor for background"),
            ("CORRSCAL", 1.0, "Nominal scaling factor for correction file"),
            ("POISSERR", counter.weight is None, "Poisson errors appropriate"),
            ("SYS_ERR", 0, "Global systematic error"),
            ("CHANTYPE", grid.column, "Type of channel data"),
            ("DETCHANS", grid.count, "Total number of detector channels available"),
            ("QUALITY", 0, "All channels have good quality"),
            ("GROUPING", 0, "Channels are not grouped"),
            ("SPECDELT", int(grid.step), "Spectral channel size, ie the binning factor"),
            ("SPECPIX", 0, "The rebinned channel corresponding to SPECVAL"),
            (
                "SPECVAL",
                grid.minimum + (grid.step - 1) / 2,
                "Original chan value at center of rebinned chan",
            ),
        ]
        self._describe(made.header, cards)
        self._table_file(p.spectrumset, made)

    def _write_histogram(self, counter: Counter) -> None:
        p = self.p
        made = histogram_table(counter, self._integer(p.histogramcolumn))
        (grid,) = counter.grids
        cards = [
            ("HDUCLASS", "OGIP", "Format conforms to OGIP/GSFC conventions"),
            ("HDUCLAS1", "HISTO", "File contains a histogram"),
            ("BINSIZE", float(grid.step), "Width of the bins"),
        ]
        self._describe(made.header, cards)
        p_updates, self.p = self.p, Parameters({**p, "updateexposure": False}, p.given)
        self._table_file(p.histogramset, made)
        self.p = p_updates
