//! Certificates of a made-up authority, and those that nobody should believe.

use std::{fs, path::PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use crate::harness::TestEnv;

/// Signs for the servers of one test.
pub(super) struct Authority<'a> {
    test: &'a TestEnv,
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate.
    pub(super) file: PathBuf,
}

/// A certificate and its key, as files in PEM.
pub(super) struct Identity {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Identity {
    fn write(test: &TestEnv, name: &str, certificate: &rcgen::Certificate, key: &KeyPair) -> Self {
        let identity = Self { certificate: test.path(&format!("{name}.pem")), key: test.path(&format!("{name}.key")) };
        fs::write(&identity.certificate, certificate.pem()).unwrap();
        fs::write(&identity.key, key.serialize_pem()).unwrap();
        identity
    }
}

/// Of this machine, by both its names, unless it is changed.
pub(super) fn of_this_machine() -> CertificateParams {
    CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap()
}

pub(super) fn of_another_host() -> CertificateParams {
    CertificateParams::new(["a.example".to_owned(), "*.b.example".to_owned()]).unwrap()
}

/// As `openssl req -x509` makes them: they could sign others.
pub(super) fn of_an_authority(mut params: CertificateParams) -> CertificateParams {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

pub(super) fn expired() -> CertificateParams {
    let mut params = of_this_machine();
    params.not_after = date_time_ymd(2020, 2, 1);
    params
}

pub(super) fn not_yet_valid() -> CertificateParams {
    let mut params = of_this_machine();
    params.not_before = date_time_ymd(3000, 1, 1);
    params.not_after = date_time_ymd(3001, 1, 1);
    params
}

impl<'a> Authority<'a> {
    pub(super) fn new(test: &'a TestEnv, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let file = test.path(&format!("{name}.pem"));
        fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self { test, issuer: Issuer::new(params, key), file }
    }

    pub(super) fn signs(&self, name: &str, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        Identity::write(self.test, name, &params.signed_by(&key, &self.issuer).unwrap(), &key)
    }
}

/// One that nobody else has signed.
pub(super) fn signed_by_itself(test: &TestEnv, name: &str, params: &CertificateParams) -> Identity {
    let key = KeyPair::generate().unwrap();
    Identity::write(test, name, &params.self_signed(&key).unwrap(), &key)
}
