"""espfilt and emanom on hand-made event lists of each camera."""

import gzip
import io
import re

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.task import run_task

START = 6.0e8
PREFIX = {"EMOS1": "mos1S001", "EMOS2": "mos2S001", "EPN": "pnS001"}


def call(task, env, cwd, **arguments):
    out, err = io.StringIO(), io.StringIO()
    run_task(task, arguments, cwd=cwd, env=env, out=out, err=err)
    return out.getvalue(), err.getvalue()


def flaring_list(maker, path, rng, quiet=30_000, flare=60_000):
    """10 ks with a flare from 4 to 6 ks that fills the field of view only."""
    calm = maker.flat(rng, quiet, START, START + 10_000)
    burst = maker.flat(rng, flare, START + 4000, START + 6000)
    inside = burst["FLAG"] == 0
    columns = {k: np.concatenate([calm[k], burst[k][inside]]) for k in calm}
    order = np.argsort(columns["TIME"])
    return maker.write(path, {k: v[order] for k, v in columns.items()}, 10_000)


@pytest.mark.parametrize("instrument", ["EMOS1", "EMOS2", "EPN"])
def test_flare_is_cut_out(instrument, list_maker, calibration_env, tmp_path):
    flaring_list(list_maker(instrument), tmp_path / "ev.fits", np.random.default_rng(1))
    call("espfilt", calibration_env, tmp_path, eventfile="ev.fits")
    prefix = PREFIX[instrument]
    gti = GTI.read(tmp_path / f"{prefix}-gti.fits")
    cut = gti.complement(START + 3900, START + 6100)
    assert cut.start[0] - START == pytest.approx(4000, abs=60)
    assert cut.stop[-1] - START == pytest.approx(6000, abs=60)
    assert gti.total > 0.97 * 8000 - 120
    with fits.open(tmp_path / f"{prefix}-allevc.fits") as hdus:
        header, fitted, data = hdus["EVENTS"].header, hdus[0].header, hdus["EVENTS"].data
        assert gti.contains(data["TIME"]).all()
        # Corner events stay in this list.
        assert (data["FLAG"] & 0x10000).any()
        assert header["LIVETIME"] == pytest.approx(0.98 * gti.total, rel=0.01)
        assert fitted["ELOW"] == 2500
        assert 0 < fitted["WIDTH"] < fitted["CENTER"]
    with fits.open(tmp_path / f"{prefix}-corevc.fits") as hdus:
        assert ((hdus["EVENTS"].data["FLAG"] & 0x10000) != 0).all()
    for name in ("corev", "fovlc", "corlc", "allimc", "corimc"):
        assert (tmp_path / f"{prefix}-{name}.fits").exists(), name
    assert "Fit Center:" in (tmp_path / f"{prefix}-hist.qdp").read_text()
    assert (tmp_path / f"{prefix}-hist.png").stat().st_size > 5000
    assert not (tmp_path / f"{prefix}-gti.txt").exists()


def test_ratio_method(list_maker, calibration_env, tmp_path):
    flaring_list(list_maker("EMOS2"), tmp_path / "ev.fits", np.random.default_rng(2), quiet=80_000)
    call(
        "espfilt",
        calibration_env,
        tmp_path,
        eventfile="ev.fits",
        method="ratio",
        elow=300,
        ehigh=10000,
        ratio=1.6,
    )
    gti = GTI.read(tmp_path / "mos2S001-gti.fits")
    assert (gti & GTI([START + 4060], [START + 5940])).total == 0
    assert gti.total > 7000


def test_all_flare_accepts_nothing_and_warns(list_maker, calibration_env, tmp_path):
    maker, rng = list_maker("EMOS1"), np.random.default_rng(4)
    columns = maker.flat(rng, 500_000, START, START + 10_000)
    t = columns["TIME"] - START
    wander = np.interp(t, np.arange(0, 10_201, 200), rng.normal(0, 1, 52))
    kept = rng.random(len(t)) < np.exp(0.9 * wander) / np.exp(0.9 * 2.5)
    maker.write(tmp_path / "ev.fits", {k: v[kept] for k, v in columns.items()}, 10_000)
    _, err = call("espfilt", calibration_env, tmp_path, eventfile="ev.fits")
    assert "warning (allFlare)" in err
    assert GTI.read(tmp_path / "mos1S001-gti.fits").total < 1e-6
    with fits.open(tmp_path / "mos1S001-allevc.fits") as hdus:
        assert len(hdus["EVENTS"].data) == 0


@pytest.mark.parametrize("protons", [True, False])
def test_a_steady_flare_is_told_from_a_quiet_level_by_the_corners(
    protons, list_maker, calibration_env, tmp_path
):
    """A level that keeps for half of the exposure: quiet if the corners are as bright, else not."""
    maker, rng = list_maker("EMOS2"), np.random.default_rng(5)
    level = maker.flat(rng, 120_000, START, START + 10_000, band=(300, 12000))
    burst = maker.flat(rng, 300_000, START + 5000, START + 10_000, band=(300, 12000))
    burst = {k: v[burst["FLAG"] == 0] for k, v in burst.items()}
    if protons:
        # Two thirds of what is in the field is not in the corners.
        keep = (level["FLAG"] == 0) | (rng.random(len(level["FLAG"])) < 1 / 3)
        level = {k: v[keep] for k, v in level.items()}
    columns = {k: np.concatenate([level[k], burst[k]]) for k in level}
    order = np.argsort(columns["TIME"])
    maker.write(tmp_path / "ev.fits", {k: v[order] for k, v in columns.items()}, 10_000)
    out, err = call("espfilt", calibration_env, tmp_path, eventfile="ev.fits", limits="0.1 10")
    total = GTI.read(tmp_path / "mos2S001-gti.fits").total
    header = fits.getheader(tmp_path / "mos2S001-gti.fits", 1)
    if protons:
        assert "warning (allFlare)" in err
        assert "protons" in err
        assert total < 1e-6
        assert header["INOUT"] == pytest.approx(3.0, abs=0.3)
        assert "CORRATE" not in header
    else:
        assert err == ""
        # Bins of 60 s with fewer or more counts than three standard deviations allow are lost whole.
        assert total == pytest.approx(5000, abs=250)
        assert header["INOUT"] == pytest.approx(1.0, abs=3.5 * header["INOUTERR"])
        pi = fits.getdata(tmp_path / "mos2S001-corevc.fits", "EVENTS")["PI"]
        assert header["CORRATE"] == pytest.approx(np.sum((pi >= 2500) & (pi <= 8500)) / total, rel=1e-3)
        assert "clean" in out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"elow": 5000, "ehigh": 4000}, "badParameter"),
        ({"limits": "1"}, "badParameter"),
        ({"limits": "3 2"}, "badParameter"),
        ({"withoot": True, "ootfile": "x.fits"}, "badParameter"),
        ({"smooth": 90}, "badParameter"),
        ({"eventfile": "nothing.fits"}, "noEventFile"),
        ({"elow": 30000, "ehigh": 31000}, "noCounts"),
    ],
)
def test_bad_arguments(arguments, code, list_maker, calibration_env, tmp_path):
    maker = list_maker("EMOS1")
    maker.write(tmp_path / "ev.fits", maker.flat(np.random.default_rng(1), 5000, START, START + 2000), 2000)
    with pytest.raises(TaskError) as caught:
        call("espfilt", calibration_env, tmp_path, **{"eventfile": "ev.fits", **arguments})
    assert caught.value.code == code
    assert not (tmp_path / "mos1S001-allevc.fits").exists()


def products_of_calls(log):
    """Products of the evselect calls in a log, in order: name -> (kind, conditions, axes)."""
    made = {}
    for line in re.findall(r"Executing \(routine\): evselect (.*)", log):
        # A value with blanks is quoted by some versions and not by others.
        values = dict(re.findall(r"(?:^| )(\w+)=(.*?)(?= \w+=|  -w|$)", line))
        text = values["expression"].strip("'")
        conditions = set(re.split(r"&&(?![^(]*\|\|)", text)) - {"true"}
        conditions = {c[1:-1] if re.fullmatch(r"\(PI in [^()]*\)", c) else c for c in conditions}
        source = values["table"].partition(":")[0]
        conditions |= made.get(source, (None, set()))[1]
        for kind, axes in (
            ("filteredset", ()),
            ("imageset", ("xcolumn", "ycolumn", "imagebinning", "ximagesize", "yimagesize")),
            ("rateset", ("timecolumn", "timebinsize", "maketimecolumn", "makeratecolumn")),
        ):
            if values[f"with{kind}"] == "yes" and values[kind] != "filtered.fits":
                made[values[kind]] = (kind, conditions, tuple(values[a] for a in axes))
    return made


def test_calls_are_those_of_the_real_run(list_maker, calibration_env, shared_data, tmp_path):
    """The same products in the same order, each by the same selection on the same axes."""
    name = shared_data / "logs" / "0204310101_M1S001_espfilt4.3_sas20.log.gz"
    with gzip.open(name, "rt", errors="replace") as handle:
        real = handle.read()
    flaring_list(list_maker("EMOS1"), tmp_path / "ev.fits", np.random.default_rng(1))
    ours, _ = call(
        "espfilt", calibration_env, tmp_path, eventfile="ev.fits", withlongnames=True, keepinterfiles=True
    )
    expected, found = products_of_calls(real), products_of_calls(ours)
    assert len(expected) == 9
    assert list(found) == list(expected)
    for product, (kind, conditions, axes) in expected.items():
        assert found[product] == (kind, conditions, axes), product
    gtibuild = [re.search(r"gtibuild (file=\S+ table=\S+)", log)[1] for log in (real, ours)]
    assert gtibuild[0] == gtibuild[1]


def test_anomalous_ccd_is_found(list_maker, calibration_env, tmp_path):
    maker, rng = list_maker("EMOS1"), np.random.default_rng(3)
    columns = maker.flat(rng, 60_000, START, START + 10_000)
    soft = maker.flat(rng, 60_000, START, START + 10_000, band=(400, 800))
    noisy = soft["CCDNR"] == 5
    columns = {k: np.concatenate([columns[k], soft[k][noisy]]) for k in columns}
    maker.write(tmp_path / "ev.fits", columns, 10_000)
    call("emanom", calibration_env, tmp_path, eventfile="ev.fits")
    text = (tmp_path / "mos1S001-anom.log").read_text()
    states = dict(re.findall(r"CCD: (\d) Hardness.*Status: (\w)", text))
    assert states == {"1": "G", "2": "G", "3": "G", "4": "G", "5": "B", "6": "G", "7": "G"}
    header = fits.getheader(tmp_path / "ev.fits")
    assert header["ANOMFL5"] == "B"
    assert header["ANOMFL2"] == "G"
    assert header["ANOMHR5"] < 2.25


def test_emanom_refuses_pn(list_maker, calibration_env, tmp_path):
    maker = list_maker("EPN")
    maker.write(tmp_path / "ev.fits", maker.flat(np.random.default_rng(1), 500, START, START + 100), 100)
    with pytest.raises(TaskError, match="EMOS1 and EMOS2"):
        call("emanom", calibration_env, tmp_path, eventfile="ev.fits")


def test_emanom_names_a_file_without_events(calibration_env, tmp_path):
    fits.PrimaryHDU().writeto(tmp_path / "ev.fits")
    with pytest.raises(TaskError, match="ev.fits: no extension EVENTS"):
        call("emanom", calibration_env, tmp_path, eventfile="ev.fits")
