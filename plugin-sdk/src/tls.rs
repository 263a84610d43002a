//! AutoMTLS, as go-plugin has it: host and plugin each make a certificate for this one run, tell it to the other on the
//! way of the handshake, and accept no other.
//!
//! [`serve`](crate::serve) does all of it for a plugin; hosts use this module.

use std::{error::Error as _, io, sync::Arc};

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, OtherError, ServerConfig,
        SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime, pem::PemObject},
        server::danger::{ClientCertVerified, ClientCertVerifier},
    },
};

/// The name in every certificate, of hosts and of plugins.
pub const NAME: &str = "localhost";

/// Field 6 of the handshake line is without padding; what has some is accepted.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The certificate of this process, and its key.
pub struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Identity {
    /// Makes a certificate that is signed by itself: ECDSA with P-256, which Go, OpenSSL and rustls all accept.
    ///
    /// # Errors
    ///
    /// * the operating system has no random bytes
    pub fn generate() -> io::Result<Self> {
        let generate = || {
            let mut params = CertificateParams::new([NAME.to_owned()])?;
            params.distinguished_name.push(DnType::CommonName, NAME);
            params.is_ca = IsCa::ExplicitNoCa;
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
            let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
            Ok(Self { certificate: params.self_signed(&key)?, key })
        };
        generate().map_err(|error: rcgen::Error| io::Error::other(format!("cannot make a certificate: {error}")))
    }

    /// The certificate as field 6 of the handshake line has it: DER in base64 without padding.
    #[must_use]
    pub fn field(&self) -> String {
        BASE64.encode(self.certificate.der())
    }

    /// The certificate as `PLUGIN_CLIENT_CERT` has it: PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// The plugin's end of connections from `host`.
    ///
    /// # Errors
    ///
    /// * the key does not go with the TLS library
    pub fn acceptor(&self, host: &Peer) -> io::Result<TlsAcceptor> {
        let (provider, (chain, key)) = (provider(), self.chain());
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_client_cert_verifier(host.alone(provider))
            .with_single_cert(chain, key)
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// The host's end of connections to `plugin`, whose name is [`NAME`].
    ///
    /// # Errors
    ///
    /// * the key does not go with the TLS library
    pub fn connector(&self, plugin: &Peer) -> io::Result<TlsConnector> {
        let (provider, (chain, key)) = (provider(), self.chain());
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(plugin.alone(provider))
            .with_client_auth_cert(chain, key)
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }

    fn chain(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = PrivatePkcs8KeyDer::from(self.key.serialize_der());
        (vec![self.certificate.der().clone()], key.into())
    }
}

/// The library's, not the process's: an author may have chosen another one for that.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The certificate that the other end must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer(CertificateDer<'static>);

impl Peer {
    /// A host, from `PLUGIN_CLIENT_CERT`.
    ///
    /// # Errors
    ///
    /// * the text holds no certificate in PEM
    pub fn from_pem(text: &str) -> io::Result<Self> {
        CertificateDer::from_pem_slice(text.as_bytes()).map(Self).map_err(invalid)
    }

    /// A plugin, from field 6 of its handshake line.
    ///
    /// # Errors
    ///
    /// * the field is no base64
    pub fn from_field(field: &str) -> io::Result<Self> {
        BASE64.decode(field).map(|der| Self(der.into())).map_err(invalid)
    }

    fn alone(&self, provider: Arc<CryptoProvider>) -> Arc<Alone> {
        Arc::new(Alone { peer: self.0.clone(), provider })
    }
}

fn invalid<E: Into<Box<dyn std::error::Error + Send + Sync>>>(error: E) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Whether a failed TLS handshake was that of another peer.
#[must_use]
pub fn is_another_peer(error: &io::Error) -> bool {
    let tls = error.get_ref().and_then(|source| source.downcast_ref::<Error>());
    let other = tls.and_then(|error| match error {
        Error::InvalidCertificate(CertificateError::Other(other)) => other.source(),
        _ => None,
    });
    other.is_some_and(|source| source.is::<AnotherPeer>())
}

#[derive(Debug, thiserror::Error)]
#[error("it is another certificate than the one that was announced")]
struct AnotherPeer;

/// Accepts one certificate, by its bytes. Who has its key is still for the signature to prove.
///
/// The usual verifiers cannot do this: go-plugin's certificates are authorities of their own.
#[derive(Debug)]
struct Alone {
    peer: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl Alone {
    fn check(&self, shown: &CertificateDer<'_>) -> Result<(), Error> {
        if *shown == self.peer {
            return Ok(());
        }
        Err(CertificateError::Other(OtherError(Arc::new(AnotherPeer))).into())
    }
}

impl ServerCertVerifier for Alone {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(shown).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Alone {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(shown).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the host sees of a handshake in which it expects `announced` of a plugin that is `plugin`.
    async fn meet(
        plugin: &Identity,
        announced: &Identity,
        expected_host: &Identity,
        host: &Identity,
    ) -> io::Result<()> {
        let (near, far) = tokio::io::duplex(4096);
        let acceptor = plugin.acceptor(&Peer::from_pem(&expected_host.pem()).unwrap()).unwrap();
        let connector = host.connector(&Peer::from_field(&announced.field()).unwrap()).unwrap();
        let accepted = tokio::spawn(async move { acceptor.accept(far).await.map(drop) });
        let connected = connector.connect(NAME.try_into().unwrap(), near).await;
        // With TLS 1.3 the plugin looks at the host's certificate after the host is through.
        let accepted = accepted.await.unwrap();
        connected.and(accepted)
    }

    #[tokio::test]
    async fn those_who_know_each_others_certificate_meet_and_nobody_else() {
        let (plugin, host, stranger) =
            (Identity::generate().unwrap(), Identity::generate().unwrap(), Identity::generate().unwrap());
        meet(&plugin, &plugin, &host, &host).await.unwrap();
        assert!(is_another_peer(&meet(&plugin, &stranger, &host, &host).await.unwrap_err()));
        assert!(is_another_peer(&meet(&plugin, &plugin, &host, &stranger).await.unwrap_err()));
    }

    #[test]
    fn a_certificate_is_the_same_in_both_forms() {
        let identity = Identity::generate().unwrap();
        assert!(!identity.field().ends_with('='));
        let peer = Peer::from_field(&identity.field()).unwrap();
        assert_eq!(Peer::from_pem(&identity.pem()).unwrap(), peer);
        assert!(Peer::from_pem("hello").is_err());
        assert!(Peer::from_field("&").is_err());
    }
}
