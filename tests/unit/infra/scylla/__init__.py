"""The store on a cluster, without one."""
