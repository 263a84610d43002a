//! Through whom servers are reached: what the options say, else what the environment says, as curl has it.

use std::env;

use hyper_util::client::proxy::matcher::Matcher;
use plugin_sdk::{Error, Options};
use reqwest::{ClientBuilder, NoProxy, Proxy, Url};

use super::refuse;

const SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

/// Which requests go through which proxy.
pub(in crate::source) struct Proxies {
    rules: Rules,
    matcher: Matcher,
}

/// As texts, for the two libraries that both want them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rules {
    /// Empty is none.
    http: String,
    https: String,
    except: String,
    /// Nothing was said: the operating system may know one.
    unsaid: bool,
}

impl Proxies {
    /// What `options` and the environment say.
    pub(in crate::source) fn of(options: &Options) -> Result<Self, Error> {
        let is_cgi = env::var_os("REQUEST_METHOD").is_some();
        let rules = Rules::of(options, |name| {
            // A CGI program is given the header `Proxy` of a request, which anybody may send, as HTTP_PROXY.
            let value = env::var(name).ok().filter(|_| !(is_cgi && name == "HTTP_PROXY"));
            value.filter(|value| !value.is_empty())
        })?;
        let matcher = if rules.unsaid {
            Matcher::from_system()
        } else {
            Matcher::builder().http(&*rules.http).https(&*rules.https).no(&*rules.except).build()
        };
        Ok(Self { rules, matcher })
    }

    pub(super) fn applied_to(&self, builder: ClientBuilder) -> Result<ClientBuilder, Error> {
        if self.rules.unsaid {
            return Ok(builder);
        }
        let mut builder = builder.no_proxy();
        let Rules { http, https, except, .. } = &self.rules;
        let made = [(!http.is_empty()).then(|| Proxy::http(http)), (!https.is_empty()).then(|| Proxy::https(https))];
        for proxy in made.into_iter().flatten() {
            let proxy = proxy.map_err(|_| no_proxy("proxy"))?;
            builder = builder.proxy(proxy.no_proxy(NoProxy::from_string(except)));
        }
        Ok(builder)
    }

    /// Through whom a request for `url` goes, without its password.
    pub(in crate::source) fn between(&self, url: &Url) -> Option<String> {
        let found = self.matcher.intercept(&url.as_str().parse().ok()?)?;
        let uri = found.uri().to_string();
        // Of a password with an `@` in it a part may be left.
        let shown = match uri.split_once("://") {
            Some((scheme, rest)) => format!("{scheme}://{}", rest.rsplit('@').next().unwrap_or(rest)),
            None => uri,
        };
        Some(shown.trim_end_matches('/').to_owned())
    }
}

impl Rules {
    fn of(options: &Options, variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let either = |lower: &str| {
            let found = [lower.to_owned(), lower.to_ascii_uppercase()].into_iter();
            found.filter_map(|name| Some((variable(&name)?, name))).next()
        };
        let except = options.get("noproxy").cloned().or_else(|| either("no_proxy").map(|(value, _)| value));
        // Commas, spaces or both stand between them, and `*` is meant for addresses, too.
        let except: Vec<&str> = except.iter().flat_map(|list| list.split([',', ' ', '\t'])).collect();
        if except.contains(&"*") {
            return Ok(Self::default());
        }
        let except = except.join(",");
        if let Some(url) = options.get("proxy") {
            let url = checked("proxy", url)?;
            return Ok(Self { http: url.clone(), https: url, except, unsaid: false });
        }
        let of = |lower: &str| match either(lower).or_else(|| either("all_proxy")) {
            Some((url, name)) => checked(&name, &url),
            None => Ok(String::new()),
        };
        let (http, https) = (of("http_proxy")?, of("https_proxy")?);
        Ok(Self { unsaid: http.is_empty() && https.is_empty(), http, https, except })
    }
}

/// Libraries ignore what they do not understand, and go without a proxy.
fn checked(name: &str, text: &str) -> Result<String, Error> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&text).ok().filter(|url| SCHEMES.contains(&url.scheme()));
    // As it is understood here: others take another `@` of a password for its end.
    let url = url.filter(Url::has_host).ok_or_else(|| no_proxy(name))?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn no_proxy(name: &str) -> Error {
    refuse(name, &format!("it is no {} or {} URL", SCHEMES[..5].join(", "), SCHEMES[5]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(options: &[(&str, &str)], variables: &[(&str, &str)]) -> (String, String, String) {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let variable = |name: &str| {
            let found = variables.iter().find(|(own, value)| *own == name && !value.is_empty());
            found.map(|(_, value)| (*value).to_owned())
        };
        let Rules { http, https, except, .. } = Rules::of(&options, variable).unwrap();
        (http, https, except)
    }

    #[test]
    fn a_variable_in_small_letters_wins_and_that_of_a_scheme_over_that_for_all() {
        let all = [("all_proxy", "socks5h://a"), ("ALL_PROXY", "http://b")];
        let https = [("HTTPS_PROXY", "c:1"), ("no_proxy", "d"), ("NO_PROXY", "e")];
        let (http, https, except) = rules(&[], &[all, https[..2].try_into().unwrap()].concat());
        assert_eq!((&*http, &*https, &*except), ("socks5h://a", "http://c:1", "d"));
        assert_eq!(rules(&[], &[("http_proxy", ""), ("HTTP_PROXY", "http://h")]).0, "http://h");
    }

    #[test]
    fn an_option_wins_over_all_variables() {
        let variables = [("http_proxy", "http://a"), ("https_proxy", "http://a"), ("no_proxy", "b")];
        assert_eq!(rules(&[("proxy", "")], &variables), (String::new(), String::new(), "b".into()));
        let (http, https, except) = rules(&[("proxy", "c"), ("noproxy", "")], &variables);
        assert_eq!((&*http, &*https, &*except), ("http://c", "http://c", ""));
        assert_eq!(rules(&[("noproxy", "d e, f")], &variables).2, "d,e,,f");
        assert_eq!(rules(&[("noproxy", "a *")], &variables), Default::default());
    }

    #[test]
    fn a_variable_that_makes_no_sense_is_named() {
        let variable = |name: &str| (name == "HTTPS_PROXY").then(|| "gopher://me:s3cret@h".to_owned());
        let fact = "HTTPS_PROXY: it is no http, https, socks4, socks4a, socks5 or socks5h URL";
        assert_eq!(Rules::of(&Options::new(), variable).unwrap_err().to_string(), fact);
    }

    #[test]
    fn hosts_are_left_out_by_name_domain_and_network() {
        let options = [("proxy", "http://me:pass@p:3128"), ("noproxy", "a.example, .b.example,10.0.0.0/8,::1")];
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let proxies = Proxies::of(&options).unwrap();
        let between = |url: &str| proxies.between(&Url::parse(url).unwrap());
        for direct in ["http://a.example", "https://x.a.example", "http://b.example", "http://10.1.2.3", "http://[::1]"]
        {
            assert_eq!(between(direct), None, "{direct}");
        }
        for through in ["http://nota.example", "https://11.0.0.1", "http://c.example:10"] {
            assert_eq!(between(through).as_deref(), Some("http://p:3128"), "{through}");
        }
    }
}
