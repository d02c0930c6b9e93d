"""Names of tasks of SAS that the engine may lack (source: index of the manual of SAS); not complete."""

from __future__ import annotations

_NAMES = """
adapt attmove barycen bin_image binadapt calview cifdiff combimage ebkgmap edetect_chain eimagecombine
eimageget elcplot emosaic_prep emosaicproc emtaglenoise epatplot epiclccorr epicspeccombine epspatialcti
eregionanalyse esensmap esky2det eslewchain especget eupper evproject evqpb mos-spectra mos_back mosback
mosspectra odffix omatt ombadpix omchain omcosflag omdetect omdrifthist omfastshift omfchain omflatfield
omflatgen omgchain omgprep omgrism omichain omlcbuild ommag ommergelists ommodmap ommosaic omphotom
omprep omqualitymap omregion omsource omsrclistcomb omthconv pn-spectra pn_back pnback pnspectra proton
psfgen region regionmask rgsbkgmodel rgscombine rgsfluxer rgsimplot rgslccorr rgsoffsetcalc rgsregions
rgsrmfgen rgsspecplot rgsspectrum rot-im-det-sky srcmatch swcx xmmextractor
"""
#: They are only asked for what to say of a name.
SAS_TASKS = frozenset(_NAMES.split())
