"""Good times from housekeeping."""

import io

import numpy as np
import pytest

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.odf.times import utc_to_tt
from daxa.xmm.select.housekeeping import Limits, expression_of, housekeeping_gti
from daxa.xmm.task import run_task


@pytest.fixture
def housekeeping(tmp_path):
    """An ODF with pn and MOS1 housekeeping of 6000 s in steps of 16 and 64 s; an excursion can be put in."""
    from daxa.simulate.odf.clock import Clock
    from daxa.simulate.odf.files import OdfWriter
    from daxa.simulate.odf.housekeeping import Pointing
    from daxa.xmm.formats import odf as layout

    start = 640_000_000.0
    stop = start + 6000.0
    pointing = Pointing(
        "0800010101", 3100, "Handmade", 149.5875, -11.0642, 110.0, 149.6, -11.1, start, stop, start - 5e4
    )
    writer = OdfWriter(tmp_path / "odf", pointing, Clock(start - 5e4))
    wheel = [(start, stop, "Medium")]
    writer.mos_housekeeping("M1", wheel, [])
    writer.pn_housekeeping(wheel, reset_obt_s=1, wrap_s=32400, submode="PrimeFullWindow", max_frames=20)
    writer.summary()

    def spoil(file_type, column, rows, value):
        from astropy.io import fits

        path = writer.folder / writer.name("PN", file_type)
        with fits.open(path, mode="update") as hdus:
            hdus[layout.extension("PN", file_type)].data[column][rows] = value
            return utc_to_tt(hdus[1].data["TIME"])

    return writer.folder, spoil


def run(folder, env, cwd, **arguments):
    out, err = io.StringIO(), io.StringIO()
    run_task("hkgtigen", arguments, cwd=cwd, env={**env, "SAS_ODF": str(folder)}, out=out, err=err)
    return out.getvalue(), err.getvalue()


def test_the_documented_form_of_an_expression():
    # The example of the manual, with its comma.
    assert expression_of("(@ in [120, 273])", "T") == "(T in [120:273])"
    assert expression_of("@ > 3 && @ < 5", "A") == "A > 3 && A < 5"


def test_a_time_is_good_when_all_parameters_are():
    time = np.arange(0.0, 100.0, 10.0)
    one = {"TIME": time, "A": np.array([1, 1, 9, 1, 1, 1, 1, 1, 1, 1]), "B": np.ones(10)}
    other = {"TIME": time, "C": np.array([1, 1, 1, 1, 1, 1, 1, 9, 9, 1])}
    limits = Limits({"A": "@ < 5", "LONG_C": "@ < 5", "GONE": "@ > 0"}, {"C": "LONG_C", "LONG_C": "C"})
    result = housekeeping_gti({"PMH": [one], "PAH": [other]}, limits)
    assert result.covered == GTI([-5.0], [95.0])
    assert result.total == GTI([-5.0, 25.0, 85.0], [15.0, 65.0, 95.0])
    assert result.missing == ["GONE"]
    assert result.single["LONG_C"] == ("C < 5", GTI([-5.0, 85.0], [65.0, 95.0]))


def test_periods_of_one_file_type_are_united():
    first, second = ({"TIME": np.arange(a, a + 50.0, 10.0), "A": np.zeros(5)} for a in (0.0, 1000.0))
    result = housekeeping_gti({"PEH": [first, second]}, Limits({"A": "@ == 0"}, {}))
    assert result.total == GTI([-5.0, 995.0], [45.0, 1045.0])


def test_names_and_expressions_are_told_by_content(synthetic_ccf):
    from daxa.xmm.ccf.calibration import Calibration

    cal = Calibration.for_observation([synthetic_ccf], "2017-01-01T00:00:00")
    limits = Limits.from_constituent(cal.constituent("EPN", "HKPARMINT"))
    assert limits.expressions["H_CE_TTMPFPF"] == "(@ in [-95, -85])"
    assert limits.column("H_CE_TTMPFPF", {"F1128": 0}) == "F1128"


def test_an_excursion_of_one_temperature_is_cut_out(housekeeping, calibration_env, tmp_path):
    folder, spoil = housekeeping
    time = spoil("PAH", "F1676", slice(40, 44), 55.0)
    out, _ = run(folder, calibration_env, tmp_path, instrument="epn", gtiset="hk.ds")
    gti = GTI.read(tmp_path / "hk.ds", "STDGTI")
    # Half a step of 64 s, as of real files.
    assert list(gti.stop[:-1]) == pytest.approx([time[40] - 32.0])
    assert list(gti.start[1:]) == pytest.approx([time[44] - 32.0])
    assert "5 parameters" in out

    run(
        folder, calibration_env, tmp_path, instrument="epn", gtiset="rest.ds",
        withparameters=True, parameters="E_C1_TEMPQB1", **{"except": True},
    )  # fmt: skip
    assert len(GTI.read(tmp_path / "rest.ds")) == 1


def test_diagnosis_names_the_parameter(housekeeping, calibration_env, tmp_path):
    from astropy.io import fits

    folder, spoil = housekeeping
    time = spoil("PMH", "F1128", slice(0, 83), -60.0)
    arguments = {"instrument": "epn", "gtiset": "hk.ds", "diagnosticmode": True, "diagfile": "hk.txt"}
    run(folder, calibration_env, tmp_path, **arguments)
    table = dict(line.split() for line in (tmp_path / "hk.txt").read_text().splitlines()[1:])
    # Of the time that both tables cover: half a step of 16 s before the first row, of 64 s behind the last.
    covered = 8 + (time[-1] - time[0]) // 64 * 64 + 32
    assert float(table["H_CE_TTMPFPF"]) == pytest.approx(83 * 16 / covered, abs=1e-6)
    assert float(table["E_C0_TEMPQB1"]) == 0
    with fits.open(tmp_path / "hk.ds") as hdus:
        assert hdus["STDGTI-H_CE_TTMPFPF"].header["EXPR"] == "(F1128 in [-95:-85])"


def test_times_and_texts_of_real_housekeeping(shared_data):
    """UTC as text, one row every 8 s; texts that are filled up with blanks."""
    from daxa.xmm.odf.odf import Odf

    odf = Odf.open(shared_data / "odf_0135730701")
    table = odf.one("R1", "PFH").read(1)
    limits = Limits({"FIFO": "(@ == 'NOT FULL')"}, {"FIFO": "G5063"})
    result = housekeeping_gti({"PFH": [table.columns]}, limits)
    full = np.char.strip(table["G5063"]) == "FULL"
    time = utc_to_tt(table["TIME"])
    (covered,) = zip(result.covered.start, result.covered.stop, strict=True)
    assert covered == pytest.approx((time[0] - 4, time[-1] + 4), abs=0.6)
    assert not result.total.contains(time[full]).any()
    assert result.total.contains(time[~full]).all()


def test_a_time_that_is_no_date_is_named():
    table = {"TIME": np.array(["2001-03-20T14:38:30", "2001-03-20T1?:38:38"]), "A": np.ones(2)}
    with pytest.raises(TaskError, match="column TIME: '2001-03-20T1.:38:38' is not a date"):
        housekeeping_gti({"PFH": [table]}, Limits({"A": "@ > 0"}, {}))


def test_another_limit_can_be_given(housekeeping, calibration_env, tmp_path):
    folder, _ = housekeeping
    _, err = run(
        folder, calibration_env, tmp_path, instrument="emos1", gtiset="m1.ds", withoverrideparameters=True,
        overrideparameters="FILTER_WHEEL_POSITION", overrideparametervalues="@>500",
    )  # fmt: skip
    gti = GTI.read(tmp_path / "m1.ds")
    # The wheel leaves and takes its place a minute before and after the exposure.
    assert gti.total == pytest.approx(6120.0, abs=32.0)
    assert err == ""


def test_mistakes_are_named(housekeeping, calibration_env, tmp_path):
    folder, _ = housekeeping
    with pytest.raises(TaskError, match="no limits for NONSENSE") as failure:
        run(folder, calibration_env, tmp_path, instrument="epn", withparameters=True, parameters="NONSENSE")
    assert failure.value.code == "unknownHkParameter"
    with pytest.raises(TaskError, match="noHkFiles|no periodic housekeeping"):
        run(folder, calibration_env, tmp_path, instrument="emos2")
    with pytest.raises(NotImplementedError, match="plotgtis"):
        run(folder, calibration_env, tmp_path, instrument="epn", plotgtis=True)
