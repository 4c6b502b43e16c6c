"""A certificate authority of the tests' own, and certificates of it."""

from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def make_certificates(folder, host):
    """Make an authority, and a certificate of it for `host`; return their files (the second with its key)."""
    now = datetime.now(timezone.utc)
    files = []
    issuer = None
    for name in ("authority", host):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        by, signer = issuer or (subject, key)
        made = x509.CertificateBuilder(by, subject, key.public_key(), x509.random_serial_number())
        made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        made = made.add_extension(x509.BasicConstraints(ca=not issuer, path_length=None), critical=True)
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        pem = made.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        files.append(folder / f"{name}.pem")
        files[-1].write_bytes(pem + (private if issuer else b""))
        issuer = subject, key
    return files
