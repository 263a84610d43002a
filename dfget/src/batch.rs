//! What the command line asks for: one download, many, or trees of them.

mod at_hand;
mod crew;
mod guard;
mod input;
mod item;
mod listing;
mod remote_name;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub use self::item::Unnamed;
use self::{
    at_hand::AtHand,
    crew::Crew,
    guard::Guard,
    item::{Item, Outcome, Where},
};
use crate::{
    download::{Job, Settings, Wanted, download},
    error::Error,
    limit::RateLimit,
    output::{OutputOptions, Root, Target},
    registry::Registry,
    report::{Reporter, Tracker},
    tree::{Found, SafeRelativePath, TreeOptions, Walk, is_own},
    url::ResourceUrl,
};

/// Bytes of a file that is taken along with the listing of its directory: for more, a call of its own is little.
const CONTENT: u64 = 64 * 1024;

/// All that one run of dfget is to download.
pub struct Batch {
    /// From the command line.
    pub wishes: Vec<Wish>,
    /// A file with more of them.
    pub input_file: Option<PathBuf>,
    /// Where to: of many downloads, and of a tree, the directory.
    pub target: Option<Target>,
    /// What is done with them.
    pub action: Action,
    /// How outputs are written.
    pub output: OutputOptions,
    /// Leave outputs alone that the source has no newer version of.
    pub if_modified: bool,
    /// Files are named as their sources call them, if those do and the user does not.
    pub remote_name: bool,
    /// How resources are fetched.
    pub settings: Arc<Settings>,
    /// Downloads at the same time.
    pub jobs: usize,
    /// What of trees is wanted.
    pub tree: TreeOptions,
    /// Bytes a second, of all together.
    pub limit_rate: Option<u64>,
    /// For all of it; `None` is no limit.
    pub timeout: Option<Duration>,
}

/// One URL that the user names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Which resource, or directory.
    pub url: ResourceUrl,
    /// Where to, if an input file says it.
    pub output: Option<PathBuf>,
}

/// What is done with the URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// They are downloaded.
    Download,
    /// What would be downloaded is printed.
    DryRun,
    /// What is in them is printed.
    List,
}

/// A batch and what it needs. Shared by all of its downloads.
pub struct Work {
    batch: Batch,
    registry: Arc<Registry>,
    reporter: Reporter,
    limit: RateLimit,
    guard: Guard,
}

impl Work {
    /// `registry` is where sources come from, `reporter` where all is told.
    #[must_use]
    pub fn new(batch: Batch, registry: Arc<Registry>, reporter: Reporter) -> Self {
        let limit = RateLimit::new(batch.limit_rate);
        let guard = Guard::new(registry.search_path());
        Self { batch, registry, reporter, limit, guard }
    }

    /// Does all of it, up to the commit of the only download.
    ///
    /// # Errors
    ///
    /// * [`Error::Usage`]: a URL has no name for its output; the input file makes no sense
    /// * [`Error::TimedOut`], [`Error::LimitReached`]: a limit of the user's
    /// * those of the only download; of many, those that all others would fail with too, such as
    ///   [`Error::DiskFull`]. [`Reporter::finish`] tells whether others failed
    pub async fn run(self) -> Result<Option<Unnamed>, Error> {
        let work = Arc::new(self);
        let run = work.clone().do_all();
        let Some(limit) = work.batch.timeout else { return run.await };
        let url = work.batch.wishes.first().map_or_else(|| "the input file".into(), |wish| wish.url.to_string());
        tokio::time::timeout(limit, run).await.map_err(|_| Error::TimedOut { url, limit })?
    }

    async fn do_all(self: Arc<Self>) -> Result<Option<Unnamed>, Error> {
        let listed = match &self.batch.input_file {
            Some(path) => input::read(path).await?,
            None => Vec::new(),
        };
        crate::escape::hide(listed.iter().flat_map(|wish| wish.url.secrets()));
        let wishes: Vec<Wish> = self.batch.wishes.iter().cloned().chain(listed).collect();
        match &wishes[..] {
            [wish] if !self.is_of_many() => self.one(wish).await,
            _ => self.many(&wishes).await.map(|()| None),
        }
    }

    /// Whether there may be several URLs: `-O` is a directory then, and one that fails does not end the others.
    fn is_of_many(&self) -> bool {
        self.batch.wishes.len() > 1 || self.batch.input_file.is_some()
    }

    /// The only one: its failure is that of the run.
    async fn one(self: &Arc<Self>, wish: &Wish) -> Result<Option<Unnamed>, Error> {
        if self.batch.action == Action::List {
            return self.list(&wish.url).await.map(|()| None);
        }
        if self.batch.tree.recursive {
            let mut crew = Crew::new(self);
            let walked = self.tree(&wish.url, &self.output_of(wish)?, &mut crew).await;
            return crew.finish().await.and(walked).map(|()| None);
        }
        let target = match &self.batch.target {
            Some(Target::Stdout) => Target::Stdout,
            _ => Target::File(self.output_of(&self.named(wish).await?)?),
        };
        let item = Item { url: wish.url.clone(), place: Where::Target(target), listed: None, content: None };
        let tracker = self.reporter.track(&item.url, item.place.path().as_deref());
        match self.fetch(&item, &tracker).await {
            Ok(Outcome::Fetched(fetched)) => return Ok(Some(Unnamed { fetched: *fetched, tracker })),
            Ok(Outcome::UpToDate) => tracker.up_to_date(),
            Ok(Outcome::Planned) => {}
            Err(error) => {
                tracker.failed(&error);
                return Err(error);
            }
        }
        Ok(None)
    }

    async fn many(self: &Arc<Self>, wishes: &[Wish]) -> Result<(), Error> {
        if let (Action::Download, Some(Target::File(directory))) = (self.batch.action, &self.batch.target) {
            self.guard.check_directory(directory)?;
            std::fs::create_dir_all(directory).map_err(|source| {
                let (action, path) = ("create the directory", directory.clone());
                Error::LocalIo { action, path, source }
            })?;
        }
        let (mut crew, mut taken, mut ended) = (Crew::new(self), HashSet::new(), Ok(()));
        for wish in wishes {
            match self.one_of_many(wish, &mut crew, &mut taken).await {
                Err(error) if !is_everybodys(&error) => self.reporter.failed(&wish.url.to_string(), &error),
                Ok(()) => {}
                all => {
                    ended = all;
                    break;
                }
            }
        }
        crew.finish().await.and(ended)
    }

    /// `taken` are the outputs of those before it.
    async fn one_of_many(
        self: &Arc<Self>,
        wish: &Wish,
        crew: &mut Crew,
        taken: &mut HashSet<PathBuf>,
    ) -> Result<(), Error> {
        if self.batch.action == Action::List {
            return self.list(&wish.url).await;
        }
        let output = self.output_of(&self.named(wish).await?)?;
        let refused = |fact| Error::PathRefused { path: output.display().to_string(), fact };
        if !taken.insert(output.clone()) {
            return Err(refused("another URL of this run goes there"));
        }
        if self.batch.tree.recursive {
            return self.tree(&wish.url, &output, crew).await;
        }
        if output.file_name().is_some_and(|name| is_own(&name.to_string_lossy())) {
            return Err(refused("dfget's own files are named so while they are incomplete"));
        }
        let place = Where::Target(Target::File(output));
        crew.take(Item { url: wish.url.clone(), place, listed: None, content: None }).await
    }

    /// The file, or the directory of a tree, that a URL goes to.
    fn output_of(&self, wish: &Wish) -> Result<PathBuf, Error> {
        let name = || {
            let name = if self.batch.tree.recursive { wish.url.directory_name() } else { wish.url.file_name() };
            wish.output.clone().or_else(|| name.map(PathBuf::from)).ok_or_else(|| self.nameless(&wish.url))
        };
        match &self.batch.target {
            Some(Target::File(path)) if !self.is_of_many() => Ok(path.clone()),
            Some(Target::File(directory)) => Ok(directory.join(name()?)),
            _ => name(),
        }
    }

    fn nameless(&self, url: &ResourceUrl) -> Error {
        let hint = match self.is_of_many() {
            true => "download it alone with -O, or name its output in a file for -i",
            false if self.batch.tree.recursive => "name the directory for it with -O",
            false => "name the output with -O, or print it with -O -",
        };
        Error::Usage { fact: format!("{url} ends in no file name"), hint: hint.into() }
    }

    /// All that is beneath a URL. Of its downloads, those that run are left to `crew`.
    async fn tree(self: &Arc<Self>, url: &ResourceUrl, output: &Path, crew: &mut Crew) -> Result<(), Error> {
        let source = self.registry.find(url.scheme())?;
        self.guard.check_directory(output)?;
        let root = match self.batch.action {
            Action::DryRun => Root::planned(output),
            _ => Root::create(output)?,
        };
        let root = Arc::new(root.without(self.guard.beneath(output)));
        let mut files = 0;
        let grown = match self.registry.open(&source).await {
            Ok(client) => {
                let walk = Walk::new(&*client, &self.batch.settings, &self.batch.tree, url);
                let walk = walk.with_content(if self.wants_all(&root) { CONTENT } else { 0 });
                self.grow(walk, &root, crew, &mut files).await
            }
            Err(error) => Err(error),
        };
        if grown.is_err() && files == 0 {
            root.abandon();
        }
        grown
    }

    /// Whether each file of a tree is going to be downloaded, as far as is known before it is listed.
    fn wants_all(&self, root: &Root) -> bool {
        let batch = &self.batch;
        let downloads = batch.action == Action::Download && batch.settings.wanted == Wanted::default();
        downloads && root.is_new() && batch.tree.filter.is_empty() && batch.tree.max_files.is_none()
    }

    /// What the walk finds comes to be beneath `root`.
    async fn grow(&self, mut walk: Walk<'_>, root: &Arc<Root>, crew: &mut Crew, files: &mut u64) -> Result<(), Error> {
        while let Some(found) = walk.next().await? {
            match found {
                Found::Failed { subject, error } => self.reporter.failed(&subject, &error),
                Found::Directory(directory) => self.make_directory(root, &directory.path)?,
                Found::File(leaf) => {
                    self.count(files, walk.root())?;
                    let place = Where::Beneath(Arc::clone(root), leaf.path);
                    crew.take(Item { url: leaf.url, place, listed: Some(leaf.metadata), content: leaf.content })
                        .await?;
                }
            }
        }
        Ok(())
    }

    /// One file more of a tree.
    fn count(&self, files: &mut u64, url: &ResourceUrl) -> Result<(), Error> {
        *files += 1;
        match self.batch.tree.max_files {
            Some(limit) if *files > limit => {
                let fact = format!("{url}: there are more than {limit} files, the limit of --max-files");
                Err(Error::LimitReached { fact })
            }
            _ => Ok(()),
        }
    }

    /// Empty ones belong to a tree too, but not to a selection of files.
    fn make_directory(&self, root: &Root, path: &SafeRelativePath) -> Result<(), Error> {
        if self.batch.action == Action::DryRun || !self.batch.tree.filter.is_empty() {
            return Ok(());
        }
        match root.make_directory(path) {
            Err(error) if !is_everybodys(&error) => {
                self.reporter.failed(path.as_str(), &error);
                Ok(())
            }
            made => made,
        }
    }

    async fn fetch(&self, item: &Item, tracker: &Tracker) -> Result<Outcome, Error> {
        let source = self.registry.find(item.url.scheme())?;
        self.guard.check(&item.place)?;
        if let Some(outcome) = self.settled(item).await? {
            return Ok(outcome);
        }
        let output = item.place.open(self.options_of(item))?;
        let client = self.registry.open(&source).await?;
        let client = match &item.content {
            Some(content) => Arc::new(AtHand::new(content.clone(), item.listed.clone().unwrap_or_default(), client)),
            None => client,
        };
        let job = Job { url: item.url.clone(), settings: Arc::clone(&self.batch.settings) };
        download(&job, &*client, output, &self.limit, tracker).await.map(|fetched| Outcome::Fetched(Box::new(fetched)))
    }

    /// What is known without a download.
    async fn settled(&self, item: &Item) -> Result<Option<Outcome>, Error> {
        // Of many, the same command again is to fetch only what is missing.
        let again = self.is_of_many() && !self.batch.output.overwrite;
        let compared = matches!(item.place, Where::Beneath(..)) || self.batch.if_modified || again;
        if compared && self.is_up_to_date(item).await? {
            return Ok(Some(Outcome::UpToDate));
        }
        if self.batch.action == Action::DryRun {
            self.plan(item)?;
            return Ok(Some(Outcome::Planned));
        }
        Ok(None)
    }

    /// In a tree, what has changed is replaced: that is what a second run is for.
    fn options_of(&self, item: &Item) -> OutputOptions {
        let replace = self.batch.if_modified || matches!(item.place, Where::Beneath(..));
        OutputOptions { overwrite: self.batch.output.overwrite || replace, ..self.batch.output }
    }

    /// Whether the output is there, and as long and as old as the resource. `--if-modified` leaves it to the source.
    async fn is_up_to_date(&self, item: &Item) -> Result<bool, Error> {
        let Some(existing) = item.place.existing()? else { return Ok(false) };
        let client = self.registry.open(&self.registry.find(item.url.scheme())?).await?;
        let job = Job { url: item.url.clone(), settings: Arc::clone(&self.batch.settings) };
        if self.batch.if_modified {
            return Ok(!job.is_expired(&*client, existing.modified).await?);
        }
        let told = |metadata: &plugin_sdk::Metadata| {
            metadata.content_length.is_some() && metadata.validator.last_modified.is_some()
        };
        let metadata = match item.listed.clone().filter(told) {
            Some(metadata) => metadata,
            None => job.metadata(&*client).await?,
        };
        let validator = plugin_sdk::Validator { etag: None, last_modified: Some(existing.modified) };
        Ok(metadata.content_length == Some(existing.length) && validator.matches(&metadata.validator))
    }
}

/// Whether all other downloads of the run would fail with it too.
fn is_everybodys(error: &Error) -> bool {
    matches!(error, Error::Bug { .. } | Error::LimitReached { .. }) || error.exit_code() == 41 || is_closed(error)
}

/// stdout is closed, which is where lines of a dry run go.
fn is_closed(error: &Error) -> bool {
    matches!(error, Error::LocalIo { path, .. } if path == Path::new("stdout"))
}
