"""How far to trust the products of the package's own engine: said in one place, shown wherever users look."""

#: Shown in the terminal, the report and the documentation.
TRUST = (
    "DAXA's own engine has not been compared with SAS on a complete real observation; "
    "docs/verification.md says what was checked and on what"
)
#: Card of each product of the engine.
TRUST_KEYWORD = "VERIFIED"
TRUST_CARD = ("not compared with SAS on a whole ODF", "see docs/verification.md")
