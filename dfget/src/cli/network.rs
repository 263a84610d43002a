//! The options of the command line that are options of in-tree sources: how servers are reached, and as whom.
//!
//! The engine knows none of them. Each is offered to the sources that declare one of its name, as `--opt` would set it.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{from_file, offered::Offered, values};
use crate::error::Error;

#[derive(Args)]
#[command(next_help_heading = "Network")]
pub(super) struct NetworkArguments {
    /// Go through this proxy: [http|https|socks4|socks4a|socks5|socks5h://][USER:PASSWORD@]HOST[:PORT]; '' is none
    /// [default: that of http_proxy, https_proxy or all_proxy]
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// Reach these hosts, domains and networks without it; separated by commas [default: those of no_proxy]
    #[arg(long, value_name = "LIST")]
    noproxy: Option<String>,
    /// Believe the certificates in this file and those that they have signed, in place of the system's
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// Show servers the certificate in this file, in PEM
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// The key of that certificate, if it is not in the same file
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Believe every certificate, so that anybody may pose as the server
    #[arg(short = 'k', long)]
    insecure: bool,
    /// Say that one is this user, to the server of the URL; @FILE reads it from there. There is no -u: that is --url
    #[arg(long, value_name = "USER:PASSWORD")]
    user: Option<String>,
    /// Show this token to the server of the URL; @FILE reads it from there
    #[arg(long = "oauth2-bearer", value_name = "TOKEN", conflicts_with = "user")]
    bearer: Option<String>,
    /// Take users and passwords of hosts from this file [default: $NETRC, else ~/.netrc]
    #[arg(long, value_name = "FILE")]
    netrc_file: Option<PathBuf>,
    /// Take none from a file
    #[arg(long)]
    no_netrc: bool,
    /// Follow so many redirects [default: 20]
    #[arg(long, value_name = "N")]
    max_redirs: Option<u32>,
    /// Give up to connect after this time, such as 10 or 500ms [default: that of the system]
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    connect_timeout: Option<Duration>,
    /// Speak HTTP/1.1 only, so that each of --connections is one, where HTTP/2 would put all into one
    #[arg(long, visible_alias = "http1.1")]
    http1: bool,
}

impl NetworkArguments {
    /// Those that may be read from a file.
    pub(super) fn logins(&self) -> impl Iterator<Item = &String> {
        self.user.iter().chain(&self.bearer)
    }

    /// Each with its flag, the name of the option, and the value.
    pub(super) fn options(&self) -> Result<Vec<Offered>, Error> {
        let text = |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
        let switched = |on: bool| on.then(|| "true".to_owned());
        let secret =
            |flag, value: &Option<String>| value.clone().map(|value| from_file::value(flag, value)).transpose();
        let no_netrc = self.no_netrc.then(String::new);
        let (user, bearer) = (secret("--user", &self.user)?, secret("--oauth2-bearer", &self.bearer)?);
        let all = [
            ("proxy", "proxy", self.proxy.clone()),
            ("noproxy", "noproxy", self.noproxy.clone()),
            ("cacert", "cacert", text(&self.cacert)),
            ("cert", "cert", text(&self.cert)),
            ("key", "key", text(&self.key)),
            ("insecure", "insecure", switched(self.insecure)),
            ("user", "user", user),
            ("oauth2-bearer", "oauth2-bearer", bearer),
            ("netrc-file", "netrc-file", text(&self.netrc_file)),
            ("no-netrc", "netrc-file", no_netrc),
            ("max-redirs", "max-redirs", self.max_redirs.map(|limit| limit.to_string())),
            ("connect-timeout", "connect-timeout", self.connect_timeout.map(|time| time.as_secs_f64().to_string())),
            ("http1", "http1", switched(self.http1)),
        ];
        Ok(all.into_iter().filter_map(|(flag, name, value)| Some(Offered { flag, name, value: value? })).collect())
    }
}
