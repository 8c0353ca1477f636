//! Who a notification speaks for (pure).

use std::net::IpAddr;

use ipnet::IpNet;

/// The source of the datagram, unless that is a configured proxy: then whom the message names. An agent puts its primary
/// address into the message, which need not be the one that clients use; so the source counts.
pub fn speaker(source: IpAddr, named: Option<IpAddr>, proxies: &[IpNet]) -> IpAddr {
    let source = source.to_canonical();
    match named {
        Some(named) if proxies.iter().any(|proxy| proxy.contains(&source)) => named.to_canonical(),
        _ => source,
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::speaker;

    #[test]
    fn only_a_proxy_may_speak_for_others() {
        let (source, named) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 9, 9, 9]));
        let proxies = [ipnet::IpNet::from(source)];
        assert_eq!(speaker(source, Some(named), &[]), source);
        assert_eq!(speaker(source, Some(named), &proxies), named);
        assert_eq!(speaker(source, None, &proxies), source);
        let mapped = IpAddr::V6(std::net::Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped());
        assert_eq!(speaker(mapped, Some(named), &proxies), named);
    }
}
