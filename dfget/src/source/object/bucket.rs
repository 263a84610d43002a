//! One bucket, as it is asked: with the credentials that there are, or with none, in the region where it is.

use std::sync::{Arc, Mutex, PoisonError};

use opendal::{Executor, HttpTransporter, OperationContext};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use plugin_sdk::{Error, Header};

use super::{
    Asking, Location, Service, Store, Told, Versions,
    refusal::{self, Asked},
    route::Route,
    transport::{self, Answer, Answers, Transport},
};
use crate::source::network::header_of_user;

/// What opendal's signer says when no place that it knows has credentials.
const NO_CREDENTIALS: &str = "failed to load signing credential";

pub(super) struct Bucket {
    store: &'static Store,
    told: Arc<Told>,
    name: String,
    route: Route,
    /// Of what is found out when it is first asked.
    current: Mutex<(Asking, Arc<Service>)>,
}

/// One request, and what comes back of it.
pub(super) struct Call {
    pub(super) service: Arc<Service>,
    pub(super) context: OperationContext,
    pub(super) answers: Answers,
}

impl Bucket {
    /// Nothing is asked yet.
    ///
    /// # Errors
    ///
    /// * [`Error::InvalidRequest`]: an option makes no sense, or one is missing
    pub(super) fn new(store: &'static Store, told: &Arc<Told>, name: &str, route: &Route) -> Result<Self, Error> {
        let asking = Asking { anonymous: told.is_on("anonymous")?, region: None };
        let service = Arc::new((store.service)(told, name, &asking)?);
        let current = Mutex::new((asking, service));
        Ok(Self { store, told: Arc::clone(told), name: name.to_owned(), route: route.clone(), current })
    }

    /// For one request, with the user's header.
    ///
    /// # Errors
    ///
    /// * [`Error::InvalidRequest`]: the header is none
    pub(super) fn call(&self, location: &Location, header: &Header) -> Result<Call, Error> {
        let service = Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner).1);
        let answers = Answers::default();
        let rules = Arc::clone(&service.rules);
        let (route, header) = (self.route.clone(), header_of_user(header)?);
        let query = match (self.store.versions, &location.version) {
            (Versions::Query(name), Some(version)) => {
                Some(format!("{name}={}", utf8_percent_encode(version, NON_ALPHANUMERIC)))
            }
            _ => None,
        };
        let transport = Transport { route, rules, query, header, answers: answers.clone(), page: Mutex::default() };
        let context = OperationContext::from_parts(HttpTransporter::new(transport), Executor::default());
        Ok(Call { service, context, answers })
    }

    /// Whether the bucket is to be asked again: without credentials, as there are none; or in its own region, which the
    /// store has told and the user has not. Each happens once.
    ///
    /// # Errors
    ///
    /// * [`Error::InvalidRequest`]: the region that the store tells is none
    pub(super) fn tries_otherwise(&self, call: &Call, made: &opendal::Error) -> Result<bool, Error> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&current.1, &call.service) {
            // Another call has found it out meanwhile.
            return Ok(true);
        }
        let mut asking = current.0.clone();
        let answer = call.answers.last();
        let region = match &answer {
            Some(Answer::Came(came)) => came.region(),
            _ => None,
        };
        match region.filter(|region| call.service.is_guess && call.service.region.as_ref() != Some(region)) {
            Some(region) => {
                tracing::info!("bucket {} is in region {region}", self.name);
                asking.region = Some(region);
            }
            None if !asking.anonymous && answer.is_none() && transport::chain(made).contains(NO_CREDENTIALS) => {
                tracing::info!("bucket {} is asked anonymously: there are no credentials for it", self.name);
                asking.anonymous = true;
            }
            None => return Ok(false),
        }
        let service = Arc::new((self.store.service)(&self.told, &self.name, &asking)?);
        *current = (asking, service);
        Ok(true)
    }
}

impl Call {
    /// Why it failed.
    pub(super) fn error(&self, store: &Store, location: &Location, made: &opendal::Error) -> Error {
        let asked = Asked {
            bucket: &location.bucket,
            key: &location.key,
            version: location.version.as_deref(),
            anonymous: self.service.anonymous,
            region: self.service.region.as_deref(),
            words: store.words,
        };
        refusal::error(asked, self.answers.last().as_ref(), made)
    }
}
