//! Whose certificates are believed, and which one is shown.
//!
//! The system's authorities are read when the first certificate is to be checked, once a process: most downloads begin
//! without that.

use std::{
    fs,
    path::Path,
    sync::{Arc, Once, OnceLock},
};

use plugin_sdk::{Error, Options};
use rustls_platform_verifier::Verifier as SystemVerifier;
use tokio_rustls::rustls::{
    self, CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};

use super::{refuse, refuse_file, switch};

/// The settings of TLS that `options` ask for.
pub(super) fn config(options: &Options) -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let trust = Trust::of(options, &provider)?;
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { trust, provider }));
    let mut config = match identity(options)? {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| refuse("key", &format!("it does not go with the certificate: {error}")))?,
    };
    let versions: &[&[u8]] = if switch(options, "http1")? { &[b"http/1.1"] } else { &[b"h2", b"http/1.1"] };
    config.alpn_protocols = versions.iter().map(|version| version.to_vec()).collect();
    Ok(config)
}

/// The certificate to show and its key, which may be in one file, as curl has it.
fn identity(options: &Options) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, Error> {
    let Some(path) = options.get("cert") else {
        return match options.get("key") {
            Some(_) => Err(refuse("key", "there is no `cert` that it could belong to")),
            None => Ok(None),
        };
    };
    let chain = certificates("cert", Path::new(path))?;
    let path = Path::new(options.get("key").unwrap_or(path));
    let key = PrivateKeyDer::from_pem_slice(&read("key", path)?)
        .map_err(|error| refuse_file("key", path, format!("there is no key in PEM without a passphrase: {error}")))?;
    Ok(Some((chain, key)))
}

fn read(name: &str, path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| refuse_file(name, path, error))
}

/// All certificates of a file in PEM, of which there is one at least.
fn certificates(name: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = read(name, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| refuse_file(name, path, error))?;
    if found.is_empty() { Err(refuse_file(name, path, "there is no certificate in PEM in it")) } else { Ok(found) }
}

/// Whom to believe.
#[derive(Debug)]
enum Trust {
    /// The authorities of the operating system.
    System,
    /// These, and nobody else: authorities, or servers themselves.
    Only {
        authorities: Arc<WebPkiServerVerifier>,
        certificates: Vec<CertificateDer<'static>>,
    },
    Everybody,
}

impl Trust {
    fn of(options: &Options, provider: &Arc<CryptoProvider>) -> Result<Self, Error> {
        if switch(options, "insecure")? {
            static TOLD: Once = Once::new();
            let fact = "no certificate is checked, as --insecure says: anybody may pose as the server";
            TOLD.call_once(|| tracing::warn!("{fact}"));
            return Ok(Self::Everybody);
        }
        let Some(path) = options.get("cacert").map(Path::new) else { return Ok(Self::System) };
        let certificates = certificates("cacert", path)?;
        let authorities = signed_by(&certificates, provider).map_err(|error| refuse_file("cacert", path, error))?;
        Ok(Self::Only { authorities, certificates })
    }
}

/// What checks that one of `authorities` has signed a certificate.
fn signed_by(
    authorities: &[CertificateDer<'_>],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    authorities.iter().try_for_each(|authority| roots.add(authority.clone().into_owned()))?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
    verifier.map_err(|error| rustls::Error::General(error.to_string()))
}

fn system(provider: &Arc<CryptoProvider>) -> Result<&'static SystemVerifier, rustls::Error> {
    static SYSTEM: OnceLock<Result<SystemVerifier, rustls::Error>> = OnceLock::new();
    SYSTEM.get_or_init(|| SystemVerifier::new(Arc::clone(provider))).as_ref().map_err(Clone::clone)
}

/// Why a certificate is not believed that nobody else has signed.
#[derive(Debug, thiserror::Error)]
#[error("it is signed by itself")]
pub(super) struct SignedByItself;

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    /// Whether it is signed with the very key that is in it.
    fn is_signed_by_itself(&self, shown: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> bool {
        let checked = signed_by(std::slice::from_ref(shown), &self.provider)
            .and_then(|itself| itself.verify_server_cert(shown, &[], name, &[], now));
        checked.map_or_else(|error| is_of_an_authority(&error), |_| true)
    }
}

/// Whether all that is wrong with a certificate is that it could sign others, as that of `openssl req -x509` can.
fn is_of_an_authority(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidCertificate(CertificateError::Other(other)) if other.to_string() == "CaUsedAsEndEntity")
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let checked = match &self.trust {
            Trust::Everybody => return Ok(ServerCertVerified::assertion()),
            Trust::System => system(&self.provider)?.verify_server_cert(shown, intermediates, name, ocsp, now),
            Trust::Only { authorities, certificates } => {
                match authorities.verify_server_cert(shown, intermediates, name, ocsp, now) {
                    // The very certificate that the user has named, as curl accepts it.
                    Err(error) if is_of_an_authority(&error) && certificates.iter().any(|own| own == shown) => {
                        return verify_server_name(&ParsedCertificate::try_from(shown)?, name)
                            .map(|()| ServerCertVerified::assertion());
                    }
                    checked => checked,
                }
            }
        };
        checked.map_err(|error| match error {
            rustls::Error::InvalidCertificate(_) if self.is_signed_by_itself(shown, name, now) => {
                CertificateError::Other(OtherError(Arc::new(SignedByItself))).into()
            }
            error => error,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
