//! Who the user is, to which server: a token, a login, or what `~/.netrc` has.

use plugin_sdk::{Error, Options};
use reqwest::{RequestBuilder, Url};

use super::netrc::{Entry, Netrc};
use crate::{escape, source::network::refuse};

/// What the source has to say of its user, if the request itself does not.
pub(super) struct Credentials {
    told: Option<Credential>,
    netrc: Netrc,
}

/// One way to say who one is: RFC 7617 and RFC 6750.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credential {
    Basic { user: String, password: String },
    Bearer(String),
}

impl Credentials {
    pub(super) fn of(options: &Options) -> Result<Self, Error> {
        let set = |name: &str| options.get(name).filter(|value| !value.is_empty());
        let told = match (set("oauth2-bearer"), set("user")) {
            (Some(token), _) => Some(Credential::Bearer(token.clone())),
            (None, Some(login)) => Some(basic(login)?),
            (None, None) => None,
        };
        Ok(Self { told, netrc: Netrc::of(options)? })
    }

    /// For the server that the user has named. `url` has the user of that URL, if there is one.
    pub(super) fn for_first(&self, url: &Url) -> Option<Credential> {
        self.told.clone().or_else(|| self.for_other(url))
    }

    /// For a server to which another one has redirected.
    pub(super) fn for_other(&self, url: &Url) -> Option<Credential> {
        let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (user, password) = (decoded(url.username()), url.password().map(decoded));
        match password {
            Some(password) => Some(Credential::Basic { user, password }),
            None if user.is_empty() => self.of_netrc(url, None),
            None => self
                .of_netrc(url, Some(&user))
                .or_else(|| Some(Credential::Basic { user: user.clone(), password: String::new() })),
        }
    }

    fn of_netrc(&self, url: &Url, login: Option<&str>) -> Option<Credential> {
        let Entry { login, password, .. } = self.netrc.find(url.host_str()?, login)?.clone();
        escape::hide(password.clone());
        Some(Credential::Basic { user: login.unwrap_or_default(), password: password.unwrap_or_default() })
    }
}

fn basic(login: &str) -> Result<Credential, Error> {
    let parts = login.split_once(':').ok_or_else(|| refuse("user", "there is no `:` before a password in it"))?;
    Ok(Credential::Basic { user: parts.0.to_owned(), password: parts.1.to_owned() })
}

impl Credential {
    pub(super) fn added_to(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Basic { user, password } => request.basic_auth(user, Some(password)),
            Self::Bearer(token) => request.bearer_auth(token),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(options: &[(&str, &str)]) -> Credentials {
        let options = options.iter().chain(&[("netrc-file", "")]);
        Credentials::of(&options.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()).unwrap()
    }

    fn basic(user: &str, password: &str) -> Option<Credential> {
        Some(Credential::Basic { user: user.to_owned(), password: password.to_owned() })
    }

    #[test]
    fn a_token_wins_over_a_login_and_that_over_the_url() {
        let url = Url::parse("http://m%65:p%40ss@h/").unwrap();
        assert_eq!(credentials(&[]).for_first(&url), basic("me", "p@ss"));
        assert_eq!(credentials(&[("user", "you:a:b")]).for_first(&url), basic("you", "a:b"));
        let both = credentials(&[("user", "you:a"), ("oauth2-bearer", "token")]);
        assert_eq!(both.for_first(&url), Some(Credential::Bearer("token".into())));
        assert_eq!(both.for_other(&url), basic("me", "p@ss"));
        assert_eq!(both.for_other(&Url::parse("http://h/").unwrap()), None);
    }
}
