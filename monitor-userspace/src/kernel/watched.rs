//! The watch list in the kernel, and the services that are known when it changes.

use aya::maps::{LpmTrie, MapData};
use monitor_common::{Addr, MarkRequest, ServiceFlags, WatchRule, map, program};
use monitor_core::config::{self, Watch};

use super::{Kernel, error::KernelError, services::key, watch_list};

impl Kernel {
    /// Makes the kernel's list say what `watch.servers` says.
    pub(super) fn put_watch_list(&mut self, watch: &Watch) -> Result<(), KernelError> {
        let rules = config::watch_rules(&watch.servers).map_err(|error| KernelError::WatchList(error.to_string()))?;
        self.watched.clone_from(&watch.servers);
        let map = self.ebpf.map_mut(map::WATCH).ok_or(KernelError::MapMissing(map::WATCH))?;
        let mut trie: LpmTrie<&mut MapData, Addr, WatchRule> =
            map.try_into().map_err(|source| KernelError::map(map::WATCH, source))?;
        let wanted: Vec<_> = rules.into_iter().map(|(net, rule)| (watch_list::key(net), rule)).collect();
        let present: Vec<_> =
            trie.keys().collect::<Result<_, _>>().map_err(|source| KernelError::map(map::WATCH, source))?;
        for (key, rule) in &wanted {
            trie.insert(key, *rule, 0).map_err(|source| KernelError::map(map::WATCH, source))?;
        }
        for key in present {
            if !wanted.iter().any(|(other, _)| watch_list::same(other, &key)) {
                trie.remove(&key).map_err(|source| KernelError::map(map::WATCH, source))?;
            }
        }
        self.follow_watch_list(watch)
    }

    /// Services that are not watched any more are forgotten; those that are listed now, or no longer, say so.
    fn follow_watch_list(&mut self, watch: &Watch) -> Result<(), KernelError> {
        for (service, state) in self.services()? {
            match config::standing(&watch.servers, service) {
                None if state.failed_ns == 0 => self.forget(service)?,
                None => {}
                Some(listed) => {
                    let flag = ServiceFlags::LISTED;
                    let (set, clear) = if listed { (flag, 0) } else { (0, flag) };
                    let (key, failed_ns) = (key(service), state.failed_ns);
                    let request = MarkRequest { key, failed_ns, set, clear, ..MarkRequest::default() };
                    self.run(program::MARK, &request.frame())?;
                }
            }
        }
        Ok(())
    }
}
