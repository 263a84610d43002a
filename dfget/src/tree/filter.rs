//! Which files of a tree are wanted.

use globset::{Error, Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use regex::Regex;

use super::SafeRelativePath;
use crate::url::ResourceUrl;

/// `--include`, `--exclude`, `--accept-regex` and `--reject-regex`. Without any of them all files are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    include: Option<GlobSet>,
    exclude: GlobSet,
    accept: Vec<Regex>,
    reject: Vec<Regex>,
}

impl Filter {
    /// Patterns with a `/` are compared with the path from the root, others with the name.
    ///
    /// # Errors
    ///
    /// * the patterns together are too large
    pub fn new(include: &[Glob], exclude: &[Glob], accept: Vec<Regex>, reject: Vec<Regex>) -> Result<Self, Error> {
        let included = if include.is_empty() { None } else { Some(set(include)?) };
        Ok(Self { include: included, exclude: set(exclude)?, accept, reject })
    }

    /// Whether all files are wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.include.is_none() && self.exclude.is_empty() && self.accept.is_empty() && self.reject.is_empty()
    }

    /// Whether this file is wanted.
    #[must_use]
    pub fn wants_file(&self, path: &SafeRelativePath, url: &ResourceUrl) -> bool {
        let found = |regex: &Regex| regex.is_match(url.as_str());
        self.wants_directory(path, url)
            && self.include.as_ref().is_none_or(|include| include.is_match(path.as_str()))
            && (self.accept.is_empty() || self.accept.iter().any(found))
    }

    /// Whether there may be wanted files in this directory.
    #[must_use]
    pub fn wants_directory(&self, path: &SafeRelativePath, url: &ResourceUrl) -> bool {
        !self.exclude.is_match(path.as_str()) && !self.reject.iter().any(|regex| regex.is_match(url.as_str()))
    }
}

fn set(globs: &[Glob]) -> Result<GlobSet, Error> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        let text = glob.glob();
        let anywhere = if text.contains('/') { String::new() } else { "**/".into() };
        let text = format!("{anywhere}{}", text.trim_start_matches('/').trim_end_matches('/'));
        set.add(GlobBuilder::new(&text).literal_separator(true).build()?);
    }
    set.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(include: &[&str], exclude: &[&str], accept: &[&str], reject: &[&str]) -> Filter {
        let globs = |texts: &[&str]| texts.iter().map(|text| Glob::new(text).unwrap()).collect::<Vec<_>>();
        let regexes = |texts: &[&str]| texts.iter().map(|text| Regex::new(text).unwrap()).collect();
        Filter::new(&globs(include), &globs(exclude), regexes(accept), regexes(reject)).unwrap()
    }

    fn wanted(filter: &Filter) -> Vec<&'static str> {
        let all = ["a.rs", "b.txt", "src/a.rs", "src/deep/b.txt", "target/c.rs"];
        let path =
            |text: &str| text.split('/').fold(SafeRelativePath::default(), |path, name| path.join(name).unwrap());
        let url = |text: &str| format!("x://h/{text}").parse().unwrap();
        all.into_iter().filter(|text| filter.wants_file(&path(text), &url(text))).collect()
    }

    #[test]
    fn without_patterns_all_is_wanted() {
        assert!(Filter::default().is_empty());
        assert_eq!(wanted(&Filter::default()).len(), 5);
    }

    #[test]
    fn a_pattern_without_a_slash_is_of_the_name_and_with_one_of_the_path() {
        assert_eq!(wanted(&filter(&["*.rs"], &[], &[], &[])), ["a.rs", "src/a.rs", "target/c.rs"]);
        assert_eq!(wanted(&filter(&["/*.rs"], &[], &[], &[])), ["a.rs"]);
        assert_eq!(wanted(&filter(&["src/*"], &[], &[], &[])), ["src/a.rs"]);
        assert_eq!(wanted(&filter(&["src/**"], &[], &[], &[])), ["src/a.rs", "src/deep/b.txt"]);
        assert_eq!(wanted(&filter(&["*.{rs,md}"], &["target/**", "/a.rs"], &[], &[])), ["src/a.rs"]);
    }

    #[test]
    fn an_excluded_directory_is_not_entered() {
        let filter = filter(&[], &["target"], &[], &["/deep(/|$)"]);
        let target = SafeRelativePath::default().join("target").unwrap();
        assert!(!filter.wants_directory(&target, &"x://h/target".parse().unwrap()));
        let deep = SafeRelativePath::default().join("deep").unwrap();
        assert!(!filter.wants_directory(&deep, &"x://h/src/deep".parse().unwrap()));
    }

    #[test]
    fn regexes_are_of_the_url() {
        assert_eq!(wanted(&filter(&[], &[], &[r"^x://h/[^/]*$"], &[])), ["a.rs", "b.txt"]);
        assert_eq!(wanted(&filter(&[], &[], &[], &[r"\.rs$", "deep"])), ["b.txt"]);
    }
}
