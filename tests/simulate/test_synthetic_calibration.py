"""The synthetic calibration files, and that their laws undo what the simulated cameras do."""

from __future__ import annotations

import csv
import gzip
import re
import shutil
import subprocess

import numpy as np
import pytest
from astropy.io import fits
from scipy.integrate import trapezoid

from daxa.simulate.calibration.constituents import pattern_roles, write_calibration
from daxa.simulate.cameras.camera import CAMERAS, J2000_S
from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.ccf.index import read_index
from daxa.xmm.ccf.readings import reading_of
from daxa.xmm.formats.ccf import REQUIRED, layout_of
from daxa.xmm.response import area as response

TIME_S = 595_000_000.0  # November 2016


@pytest.fixture(scope="module")
def folder(synthetic_ccf):
    return synthetic_ccf


def table(folder, name, extension):
    with fits.open(folder / name) as hdus:
        data = {c: np.array(hdus[extension].data[c]) for c in hdus[extension].columns.names}
        return data, hdus[extension].header.copy()


def test_every_constituent_of_the_layout_is_there(folder):
    scopes = {
        "EMOS": ("EMOS1", "EMOS2"), "EPN": ("EPN",), "RGS": ("RGS1", "RGS2"), "XRT": ("XRT1", "XRT2", "XRT3"),
        "XMM": ("XMM",),
    }  # fmt: skip
    for generic, names in scopes.items():
        for scope in names:
            for typeid in REQUIRED[generic]:
                assert list(folder.glob(f"{scope}_{typeid}_*.CCF")), (scope, typeid)


def test_headers_and_columns(folder):
    for path in folder.glob("*.CCF"):
        with fits.open(path) as hdus:
            header = hdus[0].header
            scope, typeid, issue = path.stem.split("_")
            assert (header["SCOPE"], header["TYPEID"], header["ISSUE"]) == (scope, typeid, int(issue))
            assert header["CATEGORY"] == "XMMCCF"
            assert all(h.header["SYNTHETI"] is True for h in hdus)
            assert "SYNTHETIC" in str(header["COMMENT"])
            assert header["VALDATE"] < header.get("EVALDATE", "9999")
            assert header["EXTSEQID"].split() == [h.header["EXTNAME"] for h in hdus[1:]]
            for extension, schema in layout_of(scope, typeid).items():
                if extension == "QBOXTEMP_GAIN" or not schema:
                    continue
                known, names = [c.name for c in schema], hdus[extension].columns.names
                # In the order of the layout; what it has besides, files may lack.
                assert [n for n in names if n in known] == [n for n in known if n in names], path.name
                optional = reading_of(scope, typeid, extension).absent
                assert set(known) - set(names) <= set(optional), (path.name, extension)


def test_extensions_are_those_of_real_constituents(folder, shared_data):
    with fits.open(shared_data / "epic_pn_0124710801" / "ccf.cif") as hdus:
        index = hdus["CALINDEX"].data
        real = {(row["SCOPE"], row["TYPEID"]): str(row["EXTSEQID"]) for row in index}
    for path in folder.glob("*.CCF"):
        scope, typeid, _ = path.stem.split("_")
        names = real[scope, typeid]
        # The index keeps 256 characters: a longer list has lost its end.
        known = names.split()[:-1] if len(names) == 256 else names.split()
        with fits.open(path) as hdus:
            unknown = [h.header["EXTNAME"] for h in hdus[1:] if h.header["EXTNAME"] not in known]
        # What a list that was cut has lost is named as the calibration handbook says.
        lost = {"XPSF": "KING_PARAMS", "REJECT": r"(NOISE|MEDIAN|MASTER)_MAP_(DUMMY|FF_\d\d(_00)?)"}
        rest = [n for n in unknown if not re.fullmatch(lost.get(typeid, ""), n)]
        assert not rest, path.name
        assert not unknown or len(names) > 250, path.name


#: Why files are not of the size of real ones, in blocks of 2880 bytes.
OTHER_SIZES = {
    "ADUCONV": "no obsolete gains, no tables of re-emission",
    "BADPIX": "fewer pixels",
    "BORESIGHT": "fewer times of the drift",
    "CTI": "other numbers of rows, no tables that nobody reads, 8-byte numbers",
    "DARKFRAME": "no dark frames",
    "FILTERTRANSX": "fewer energies",
    "LINCOORD": "no uncertainties",
    "MISCDATA": "only the items in use",
    "QUANTUMEF": "fewer energies, one region, no fractions",
    "REJECT": "noise maps of few channels",
    "XAREAEF": "fewer energies and angles",
    "XPSF": "no images",
}


def test_sizes_are_those_of_real_constituents(folder, shared_data):
    real = read_index(shared_data / "epic_pn_0124710801" / "ccf.cif")
    same = set()
    for path in folder.glob("*.CCF"):
        scope, typeid, _ = path.stem.split("_")
        blocks = path.stat().st_size / 2880, real.find(scope, typeid).fsize / 2880
        if typeid not in OTHER_SIZES and (scope, typeid) not in (
            ("RGS1", "HKPARMINT"),
            ("RGS2", "HKPARMINT"),
        ):
            assert abs(blocks[0] - blocks[1]) <= 1, (path.name, blocks)
            same.add(typeid)
    assert same == {
        *("BUCLOSEDODI", "HKPARMINT", "MODEPARAM", "PATTERNLIB", "SCREENTHRESH", "TICLOSEDODI"),
        *("TIMECORR", "TIMEJUMPTOL"),
    }


def test_two_runs_write_the_same_bytes(folder, tmp_path):
    for path in write_calibration(tmp_path / "again"):
        assert path.read_bytes() == (folder / path.name).read_bytes()


@pytest.mark.skipif(shutil.which("fitsverify") is None, reason="fitsverify is not installed")
def test_files_are_valid_fits(folder):
    for path in sorted(folder.glob("*.CCF")):
        result = subprocess.run(["fitsverify", "-q", path], capture_output=True, text=True, check=False)
        assert "verification OK" in result.stdout, result.stdout


def valid(folder, scope, typeid, date):
    """File names by issue that are valid at a date."""
    found = {}
    for path in folder.glob(f"{scope}_{typeid}_*.CCF"):
        header = fits.getheader(path)
        if header["VALDATE"] <= date <= header.get("EVALDATE", "9999"):
            found[header["ISSUE"]] = path.name
    return found


def test_some_types_have_several_issues_and_periods(folder):
    assert set(valid(folder, "XMM", "BORESIGHT", "2016-11-10T00:00:00")) == {28, 35}
    assert set(valid(folder, "EMOS1", "CTI", "2001-01-01T00:00:00")) == {77}
    assert set(valid(folder, "EMOS1", "CTI", "2016-11-10T00:00:00")) == {95}
    assert max(valid(folder, "EMOS1", "CTI", "2031-01-01T00:00:00")) == 120
    assert set(valid(folder, "EMOS1", "BADPIX", "2016-11-10T00:00:00")) == {45}
    assert set(valid(folder, "EPN", "CTI", "2016-11-10T00:00:00")) == {48, 56}


@pytest.mark.parametrize(("code", "cti"), [("M1", "0095"), ("M2", "0096")])
@pytest.mark.parametrize("pixels", [1, 2, 3, 4])
def test_mos_laws_give_back_the_energy(folder, code, cti, pixels):
    camera = CAMERAS[code]
    rng = np.random.default_rng(pixels)
    energy, ccd = rng.uniform(500, 12000, 3000), rng.integers(1, 8, 3000)
    x, y = rng.integers(1, 601, 3000), rng.integers(1, 601, 3000)
    # Put some on the columns with steps.
    for i, (step_ccd, column, first, _, _) in enumerate(camera.mos_columns[:2400:7]):
        ccd[i], x[i], y[i] = step_ccd, column, first
    pha = camera.amplitude(energy, ccd, x, y, TIME_S, pixels)
    laws, header = table(folder, f"{camera.name}_CTI_{cti}.CCF", "CTI_EXTENDED")
    assert header["REF_DATE"] == "2000-01-01T00:00:00"
    days = (TIME_S - J2000_S) / 86400
    corrected = pha.copy()
    for axis, transfers in (("X", x), ("Y", y)):
        for i in range(1, 8):
            row = np.flatnonzero((laws["MODE_ID"] == 0) & (laws["CCD_ID"] == i) & (laws["NODE_ID"] == 0))[0]
            c0, c1, c2 = (laws[f"CTI_{axis}{k}"][row] for k in range(3))
            here = ccd == i
            corrected[here] += (transfers * (c0 + c1 * days) * (pha / 1000) ** c2)[here]
    steps, _ = table(folder, f"{camera.name}_CTI_{cti}.CCF", "CTI_COLUMN")
    for i in range(len(steps["CCD_ID"])):
        here = (ccd == steps["CCD_ID"][i]) & (x == steps["RAWX"][i])
        here &= (y >= steps["RAWY_START"][i]) & (y < steps["RAWY_START"][i] + steps["YLENGTH"][i])
        corrected[here] += steps["OFFSET"][i]
    gains, _ = table(folder, f"{camera.name}_ADUCONV_00{88 + int(code[1])}.CCF", "OFFSET_GAIN")
    p = "" if pixels == 1 else str(pixels - 1)
    row = ccd - 1
    pi = gains[f"OFFSET{p}"][row, 0] + gains[f"GAIN{p}"][row, 0] * corrected
    pi += gains[f"POLY_TERM{p}"][row, 0] * corrected**2
    np.testing.assert_allclose(pi, energy, atol=1e-5)
    # The correction is not a trifle: tens of eV at the far end.
    assert np.max(energy - gains["GAIN"][row, 0] * pha) > 10


def test_mos_losses_fell_when_the_cameras_were_cooled():
    camera = CAMERAS["M1"]
    days = 86400 * np.array([400.0, 1030.0, 1060.0, 7000.0])
    _, parallel = camera.mos_loss_adu(1, J2000_S + days)
    assert parallel[0] < parallel[1] > parallel[3] > parallel[2]


def test_pn_laws_give_back_the_energy_of_singles(folder):
    camera = CAMERAS["PN"]
    rng = np.random.default_rng(3)
    energy, ccd = rng.uniform(150, 12000, 4000), rng.integers(1, 13, 4000)
    x, y = rng.integers(1, 65, 4000), rng.integers(13, 201, 4000)
    pha = camera.amplitude(energy, ccd, x, y, TIME_S, 1)
    offsets, header = table(folder, "EPN_ADUCONV_0123.CCF", "OFFSET_GAIN")
    gains, gain_header = table(folder, "EPN_ADUCONV_0123.CCF", "GAIN-HIGH")
    assert header["ALGOID"] == 0
    measured = pha - offsets["OFFSET"][ccd - 1, x - 1]
    measured *= gains["GAIN"][ccd - 1, x - 1] * gain_header["ADU_EV"]
    transfer, law = table(folder, "EPN_CTI_0056.CCF", "CTI_EXTENDED")
    losses = np.zeros((12, 64))
    mode = transfer["MODE_ID"] == 0
    losses[transfer["CCD_ID"][mode] - 1, transfer["NODE_ID"][mode]] = transfer["CTI_Y"][mode]
    lost = losses[ccd - 1, x - 1] * (measured / law["E_REF"]) ** law["SLOPE"]
    corrected = measured / (1 - lost) ** y
    ageing, _ = table(folder, "EPN_CTI_0056.CCF", "LONG_TERM_CTI")
    years, _ = table(folder, "EPN_CTI_0056.CCF", "LTC_TIMES")
    now = (TIME_S - J2000_S) / (365 * 86400)
    rows = np.flatnonzero((ageing["MODE_ID"] == 0) & (ageing["CCD_ID"] == 1))
    kev = ageing["ENERGY"][rows]
    at_start = ageing["T_COEFF"][rows, 0]
    at_end = np.array([np.interp(now, years["TIME"][0], ageing["T_COEFF"][row]) for row in rows])
    kept = np.interp(np.log10(corrected / 1000), np.log10(kev), (1 - at_end) / (1 - at_start))
    final = corrected / kept**y
    np.testing.assert_allclose(final, energy, atol=1e-5)
    assert np.median(1 - measured / energy) > 0.04


def test_pn_pixels_of_a_pattern_lack_what_the_table_adds(folder):
    camera = CAMERAS["PN"]
    shifts, _ = table(folder, "EPN_CTI_0056.CCF", "COMB_EVT_OFFSET")
    single, double = (camera.amplitude(3000.0, 1, 10, 100, TIME_S, n) for n in (1, 2))
    lacking = (single - double) / camera.amplitude(1000.0, 1, 10, 100, TIME_S, 1) * 1000
    row = (shifts["MODE_ID"] == 0) & (shifts["CCD_ID"] == 1) & (shifts["PATTERN"] == 2)
    assert shifts["SHIFT"][row] == pytest.approx(2 * float(lacking), rel=0.05)


def test_amplitudes_have_the_size_of_real_ones():
    # Mn K alpha near 1790 adu in CCD 1 of MOS1; 5 eV per adu in pn.
    mos = CAMERAS["M1"].amplitude(5895.0, 1, 300, 300, TIME_S, 1)
    assert 1770 < mos < 1810
    pn = CAMERAS["PN"].amplitude(5895.0, 4, 20, 15, TIME_S, 1)
    assert 1100 < pn < 1220


def test_pattern_library(folder):
    data, header = table(folder, "EMOS1_PATTERNLIB_0005.CCF", "PrimeFullWindow")
    assert header["EDUTHR_I"] == 25
    assert header["TDIM2"] == "(5,5)"
    roles = dict(zip(data["PATTERN_ID"], data["PATTERN"].reshape(-1, 5, 5), strict=True))
    assert sorted(roles) == list(range(32))
    # First index RAWY: pattern 1 has its second pixel above, pattern 2 to the right.
    assert roles[1][3, 2] == 1
    assert roles[2][2, 3] == 1
    assert roles[3][1, 2] == 1
    assert roles[4][2, 1] == 1
    sizes = [int((roles[p] == 1).sum()) for p in range(13)]
    assert sizes == [1, *[2] * 4, *[3] * 4, *[4] * 4]
    shapes = {tuple(r.ravel()) for p, r in pattern_roles().items() if p < 30}
    assert len(shapes) == 30


def test_lincoord_reproduces_the_positions(folder):
    for camera, name in zip(
        CAMERAS.values(), ("EMOS1_LINCOORD_0019", "EMOS2_LINCOORD_0018", "EPN_LINCOORD_0009"), strict=True
    ):
        data, header = table(folder, f"{name}.CCF", "LINCOORD")
        for i, ccd in enumerate(data["CCD_ID"]):
            a, b = (7.0 - data["RAWX0"][i]) * header["MM_PX_X"], (33.0 - data["RAWY0"][i]) * header["MM_PX_Y"]
            c, s = np.cos(data["PHI0"][i]), np.sin(data["PHI0"][i])
            x = (data["X0"][i] + a * c - b * s + header["CC12_TX"]) * header["ARC_MM_X"] / 0.05
            y = (data["Y0"][i] + a * s + b * c + header["CC12_TY"]) * header["ARC_MM_Y"] / 0.05
            larger = 1 + data["Z0"][i] / 7493.0
            expected = tuple(map(float, camera.raw_to_det(ccd, 7, 33)))
            assert (larger * x, larger * y) == pytest.approx(expected, abs=1e-6)
    # Chip centres that a public text gives for pn [mm].
    centres = dict(zip(data["CCD_ID"], data["X0"], strict=True))
    assert [centres[i] for i in (1, 2, 4, 5, 6)] == pytest.approx(
        [-4.832, -14.626, 4.982, 14.776, 24.57], abs=0.002
    )


BANDS_KEV = {"2": (0.5, 1.0), "3": (1.0, 2.0), "4": (2.0, 4.5), "5": (4.5, 12.0)}
FILTERS = {"Thin": "Thin1", "Medium": "Medium", "Thick": "Thick"}


@pytest.fixture(scope="module")
def counts_to_flux(shared_data):
    """Public factors [cm2/erg] of a barely absorbed power law: camera, filter, band -> median of epochs."""
    found: dict[tuple[str, str, str], list[float]] = {}
    with gzip.open(shared_data / "ecf" / "epic_ecf_absorbed_powerlaw.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            if (row["log10_nh"], row["gamma"]) == ("19.0", "1.7"):
                key = row["camera"], row["filter"], row["band"]
                found.setdefault(key, []).append(1e11 * float(row["ecf_1e11_counts_cm2_per_erg"]))
    return {key: float(np.median(values)) for key, values in found.items()}


@pytest.mark.parametrize(
    ("camera", "instrument", "ccd"), [("M1", "EMOS1", 1), ("M2", "EMOS2", 1), ("PN", "EPN", 4)]
)
def test_filters_pass_what_counts_to_flux_factors_say(folder, counts_to_flux, camera, instrument, ccd):
    cal = Calibration.for_observation([folder], "2013-06-01")
    for band, limits in BANDS_KEV.items():
        kev = np.geomspace(*limits, 500)
        rate = {
            name: trapezoid(
                response.effective_area(cal, instrument, 1e3 * kev, filter_name=ours, ccd=ccd) * kev**-1.7,
                kev,
            )
            for name, ours in FILTERS.items()
        }
        for name, tolerance in (("Thin", 0.01), ("Thick", 0.03)):
            real = counts_to_flux[camera, name, band] / counts_to_flux[camera, "Medium", band]
            assert rate[name] / rate["Medium"] == pytest.approx(real, rel=tolerance), (name, band)


def test_area_of_the_pn_is_near_that_of_counts_to_flux_factors(folder, counts_to_flux, shared_data):
    """Folded with a real redistribution matrix; the factors count only singles and doubles."""
    with fits.open(shared_data / "arf_spectra_ngc7793" / "PN.rmf.gz") as hdus:
        matrix, channels = hdus["MATRIX"].data, hdus["EBOUNDS"].data
        low, high = matrix["ENERG_LO"].astype(float), matrix["ENERG_HI"].astype(float)
        kev, centre = np.sqrt(np.maximum(low, 1e-3) * high), (channels["E_MIN"] + channels["E_MAX"]) / 2
        fold = np.zeros((len(kev), len(centre)))
        for row, spread in zip(matrix, fold, strict=True):
            done = 0
            for group in range(row["N_GRP"]):
                start = np.atleast_1d(row["F_CHAN"])[group] - channels["CHANNEL"][0]
                n = np.atleast_1d(row["N_CHAN"])[group]
                spread[start : start + n] = row["MATRIX"][done : done + n]
                done += n
    cal = Calibration.for_observation([folder], "2013-06-01")
    for name, ours in FILTERS.items():
        area = response.effective_area(cal, "EPN", 1e3 * kev, filter_name=ours, ccd=4)
        counts = (area * kev**-1.7 * (high - low)) @ fold
        for band, (e_min, e_max) in BANDS_KEV.items():
            grid = np.geomspace(e_min, e_max, 500)
            flux = trapezoid(grid**-0.7, grid) * 1.602e-9
            found = counts[(centre >= e_min) & (centre < e_max)].sum() / flux
            assert 1.0 < found / counts_to_flux["PN", name, band] < 1.12, (name, band)


def test_dead_chips_of_the_spectrometers(folder):
    for name, issue, ccd, before in (("RGS1", 36, 7, 12), ("RGS2", 32, 4, 12)):
        for extension in ("BADPIX", "BADPIX1"):
            old, _ = table(folder, f"{name}_BADPIX_{before:04d}.CCF", extension)
            new, _ = table(folder, f"{name}_BADPIX_{issue:04d}.CCF", extension)
            dead = (new["TYPE"] == "D") & (new["CCD_ID"] == ccd)
            assert new["YEXTENT"][dead].sum() == 171 * 128
            assert ccd not in old["CCD_ID"]
    # The segments that a real log names (CHIPX 33 and 305, CHIPY 113, 16 pixels); node 1 counts from 342.
    segments = [table(folder, "RGS1_BADPIX_0036.CCF", name)[0] for name in ("BADPIX", "BADPIX1")]
    found = [(d["RAWX"][0], d["RAWY"][0], d["YEXTENT"][0]) for d in segments]
    assert found == [(33, 113, 16), (38, 113, 16)]
