//! A disk as a power cut may leave it: from the operations of a run to the states.
//!
//! What was written into a file survives once the file is synced, a name (of a file or a folder)
//! once the folder that it is in is synced. What was not synced may survive or not, data and names
//! each by themselves, one name without another; of the last write the last sector or the second half may
//! be missing.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use gleaner::runtime::storage::journal::Op;

/// What a disk writes as one.
const SECTOR: usize = 512;

/// What is there: `None` for folders.
pub type State = BTreeMap<PathBuf, Option<Vec<u8>>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    File(u64),
    Folder(usize),
}

#[derive(Debug, Clone, Default)]
struct Content {
    now: Vec<u8>,
    synced: Vec<u8>,
    /// The end of the last write since the last sync.
    unsynced_end: Option<usize>,
}

#[derive(Debug, Clone)]
enum NameOp {
    Set(String, Node),
    Rename(String, String),
    Unset(String),
}

impl NameOp {
    fn apply(&self, names: &mut BTreeMap<String, Node>) {
        match self {
            Self::Set(name, node) => drop(names.insert(name.clone(), *node)),
            // Without the operation that made the name there is nothing to rename.
            Self::Rename(from, to) => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
            Self::Unset(name) => drop(names.remove(name)),
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Folder {
    durable: BTreeMap<String, Node>,
    unsynced: Vec<NameOp>,
}

/// Which of the names that were not synced survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    All,
    None,
    /// All but this one, of this folder.
    Without(usize, usize),
}

impl Folder {
    fn names(&self, which: Names, own: usize) -> BTreeMap<String, Node> {
        let mut names = self.durable.clone();
        for (index, op) in self.unsynced.iter().enumerate() {
            let survives = match which {
                Names::All => true,
                Names::None => false,
                Names::Without(folder, lost) => (folder, lost) != (own, index),
            };
            if survives {
                op.apply(&mut names);
            }
        }
        names
    }
}

/// What of the data that was not synced survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Data {
    All,
    None,
    /// The last sector of each last write is zeros.
    Torn,
    /// The second half of what was not synced is missing, and with it the length.
    Half,
}

/// What of all that was not synced is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    names: Names,
    data: Data,
}

/// Everything below a folder that was there, durable and empty but for what others keep in it.
#[derive(Debug, Clone)]
pub struct Disk {
    root: PathBuf,
    folders: Vec<Folder>,
    files: HashMap<u64, Content>,
}

impl Disk {
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            folders: vec![Folder::default()],
            files: HashMap::new(),
        }
    }

    /// The folder that a path is in, and its name there.
    fn place(&self, path: &Path) -> (usize, String) {
        let below = path.strip_prefix(&self.root).expect("below the root");
        let name = below.file_name().expect("a name").to_string_lossy();
        let above = below.parent().expect("a folder");
        (self.folder(above), name.into_owned())
    }

    fn folder(&self, below: &Path) -> usize {
        below.iter().fold(0, |folder, name| {
            match self.now(folder).get(&*name.to_string_lossy()) {
                Some(Node::Folder(next)) => *next,
                found => panic!("{}: {found:?}", below.display()),
            }
        })
    }

    fn now(&self, folder: usize) -> BTreeMap<String, Node> {
        self.folders[folder].names(Names::All, folder)
    }

    fn node(&self, path: &Path) -> Node {
        let (folder, name) = self.place(path);
        let names = self.now(folder);
        *names
            .get(&name)
            .unwrap_or_else(|| panic!("{} is not there", path.display()))
    }

    fn name(&mut self, folder: usize, op: NameOp) {
        self.folders[folder].unsynced.push(op);
    }

    fn file(&mut self, file: u64) -> &mut Content {
        self.files.get_mut(&file).expect("a file that was created")
    }

    /// Does what was done.
    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::CreateDir(path) => {
                let (folder, name) = self.place(path);
                self.folders.push(Folder::default());
                let node = Node::Folder(self.folders.len() - 1);
                self.name(folder, NameOp::Set(name, node));
            }
            Op::Create { path, file } => {
                // One that was there is emptied: for the model it is as good as another file.
                self.files.insert(*file, Content::default());
                let (folder, name) = self.place(path);
                self.name(folder, NameOp::Set(name, Node::File(*file)));
            }
            Op::Write {
                file,
                offset,
                bytes,
            } => {
                let content = self.file(*file);
                let (start, end) = (*offset as usize, *offset as usize + bytes.len());
                content.now.resize(content.now.len().max(end), 0);
                content.now[start..end].copy_from_slice(bytes);
                content.unsynced_end = Some(end);
            }
            Op::SetLen { file, length } => self.file(*file).now.resize(*length as usize, 0),
            Op::Sync { file } => {
                let content = self.file(*file);
                content.synced = content.now.clone();
                content.unsynced_end = None;
            }
            Op::SyncFolder(path) => {
                let below = path.strip_prefix(&self.root).expect("below the root");
                let folder = self.folder(below);
                self.folders[folder].durable = self.now(folder);
                self.folders[folder].unsynced.clear();
            }
            Op::Rename { from, to } => {
                let node = self.node(from);
                let ((of, from), (into, to)) = (self.place(from), self.place(to));
                if of == into {
                    return self.name(of, NameOp::Rename(from, to));
                }
                self.name(into, NameOp::Set(to, node));
                self.name(of, NameOp::Unset(from));
            }
            Op::Link { from, to } => {
                let node = self.node(from);
                let (folder, name) = self.place(to);
                self.name(folder, NameOp::Set(name, node));
            }
            Op::Remove(path) => {
                let (folder, name) = self.place(path);
                self.name(folder, NameOp::Unset(name));
            }
        }
    }

    /// What is there if nothing is lost.
    pub fn whole(&self) -> State {
        self.state(Names::All, Data::All)
    }

    /// What may be lost now.
    pub fn losses(&self) -> Vec<Loss> {
        let mut losses = Vec::new();
        let mut add = |names, all: &[Data]| {
            losses.extend(all.iter().map(|&data| Loss { names, data }));
        };
        for names in [Names::All, Names::None] {
            add(names, &[Data::All, Data::None, Data::Torn, Data::Half]);
        }
        for (folder, names) in self.folders.iter().enumerate() {
            for lost in 0..names.unsynced.len() {
                add(
                    Names::Without(folder, lost),
                    &[Data::All, Data::None, Data::Half],
                );
            }
        }
        losses
    }

    /// What is there after a loss.
    pub fn left(&self, loss: Loss) -> State {
        self.state(loss.names, loss.data)
    }

    /// An operation without the bytes.
    pub fn describe(&self, op: &Op) -> String {
        match op {
            Op::Write {
                file,
                offset,
                bytes,
            } => {
                format!("{} bytes at {offset} of file {file}", bytes.len())
            }
            op => format!("{op:?}"),
        }
    }

    fn state(&self, names: Names, data: Data) -> State {
        let mut state = State::new();
        self.collect(0, Path::new(""), names, data, &mut state);
        state
    }

    fn collect(&self, folder: usize, above: &Path, names: Names, data: Data, state: &mut State) {
        for (name, node) in self.folders[folder].names(names, folder) {
            let path = above.join(name);
            match node {
                Node::Folder(next) => {
                    state.insert(path.clone(), None);
                    self.collect(next, &path, names, data, state);
                }
                Node::File(file) => {
                    state.insert(path, Some(self.files[&file].left(data)));
                }
            }
        }
    }
}

impl Content {
    fn left(&self, data: Data) -> Vec<u8> {
        match (data, self.unsynced_end) {
            (Data::None, _) => self.synced.clone(),
            (Data::Torn, Some(end)) => {
                let mut torn = self.now.clone();
                let end = end.min(torn.len());
                let start = end.saturating_sub(1) / SECTOR * SECTOR;
                torn[start.min(end)..end].fill(0);
                torn
            }
            (Data::Half, Some(_)) => {
                let kept = self.synced.len().min(self.now.len());
                self.now[..(kept + self.now.len()) / 2].to_vec()
            }
            (Data::All | Data::Torn | Data::Half, _) => self.now.clone(),
        }
    }
}
