"""Our supervisors held against traces of the real OTP ``supervisor``.

``replay`` reads a corpus and reports; ``stage`` builds a scenario's tree and runs its steps; ``actors`` are the
children; ``wording`` turns our words into the traces'; ``verdict`` compares.
"""
