-- needs: tenants
-- Whether a tenant might submit now. Replies {verdict, its limit, what stands}.
return over_limit(args.tenant, 0, args.limits) or {'ok', 0, 0}
