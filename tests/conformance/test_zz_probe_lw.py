import json
from tests.conformance.client import Client
from tests.conformance.objects import *
from tests.conformance.conftest import *  # fixtures
async def test_probe(api, here, pods_may_run, is_embedded):
    out=open(f"/tmp/lw/probe-{'e' if is_embedded else 'r'}.txt","w")
    def p(label, a):
        if a is None: return
        b=a.body
        if isinstance(b,dict):
            b={k:v for k,v in b.items() if k not in ('items','rows','columnDefinitions')}|({'names':[o['metadata']['name'] for o in b['items']]} if 'items' in b else {})
        else: b=str(b)[:300]
        print(label, a.status, json.dumps(b), {k:v for k,v in a.headers.items() if k in('Retry-After','Content-Type')}, file=out)
    for i,n in enumerate("abcde"):
        await api.post(here.configmaps, config_map(n, labels={"i":str(i), "even": str(i%2==0).lower()}))
        await api.post(here.widgets, widget(n, {"mode":"fast" if i%2 else "slow"}, labels={"i":str(i)}))
    await api.post(here.pods, pod("p"))
    await api.post(here.pods, pod("q", nodeName="none"))
    await api.post(here.models, model("m"))
    l=await api.get(here.configmaps); rv=l.meta["resourceVersion"]
    print(sorted(l.body), l.body['items'][0].keys(), file=out)
    for sel in ["a b","a=b=c","a in b","a in (b","a in ()","a in (b,)","=b","!","a!b","a>1","a>x","i>2","i<1","a/b/c","-a","a=-x","i in (1,2),!even","even=true,i!=0","i","!i",",","a,,b","i notin (1,2)","i==1","i = 1","!i,!even","i,","x/y","a="+"x"*64,"a"*64,"i ( 1 )", "i=1,even in (true,false)", "in in (in)", "i in (1, 2)", "(a)","i>=1","i<01", "i=", "zz=", "zz!=", "zz in ('')", "i  notin(1)", "kubernetes.io/metadata.name=x"]:
        p("L %r"%sel, await api.get(here.configmaps, labelSelector=sel))
    for sel in ["metadata.name=a","metadata.name==a","metadata.name!=a","metadata.namespace="+here.namespace,"metadata.namespace=x","data.a=b","metadata.uid=x","metadata.name","a","metadata.name=a,metadata.name=b","metadata.name=a,","metadata.name>a","metadata.name in (a)","=a","metadata.name=a=b","metadata.name=a\\,b","metadata.name=a\\x", "metadata.name=", "metadata.name!=a,metadata.name!=b","metadata.name = a"]:
        p("F %r"%sel, await api.get(here.configmaps, fieldSelector=sel))
        p("FW %r"%sel, await api.get(here.widgets, fieldSelector=sel))
    for sel in ["spec.nodeName=","spec.nodeName=none","status.phase=Pending","status.phase!=Pending","spec.schedulerName=default-scheduler","spec.restartPolicy=Always","spec.serviceAccountName=default","status.podIP=","status.nominatedNodeName=","spec.hostNetwork=false","spec.hostNetwork=true","spec.containers=x","status.podIPs=","status.reason="]:
        p("FP %r"%sel, await api.get(here.pods, fieldSelector=sel))
    for sel in ["spec.mode=fast","spec.size=3","status.phase=Good"]:
        p("FW %r"%sel, await api.get(here.widgets, fieldSelector=sel))
        p("FM %r"%sel, await api.get(here.models, fieldSelector=sel))
    for path,sel in [("/api/v1/nodes","spec.unschedulable=false"),("/api/v1/nodes","x=y"),(here.secrets,"type=Opaque"),(here.services,"spec.type=x"),(here.services,"spec.clusterIP=None"),(here.services,"spec.ports=x"),("/api/v1/namespaces","status.phase=Active"),("/api/v1/namespaces","metadata.namespace=Active"),(here.events,"involvedObject.name=x"),(here.events,"involvedObject.kind=x,reason=y,source=z,type=Normal,reportingComponent=x,involvedObject.uid=1"),(here.new_events,"regarding.name=x"),(here.new_events,"involvedObject.name=x"),(here.new_events,"metadata.name=x"),(here.deployments,"metadata.name=x"),(here.deployments,"status.replicas=1"),(here.deployments.replace("deployments","replicasets"),"status.replicas=1"),(here.deployments.replace("deployments","replicasets"),"spec.x=1"),("/apis/batch/v1/namespaces/%s/jobs"%here.namespace,"status.successful=1"),("/apis/batch/v1/namespaces/%s/jobs"%here.namespace,"status.successful=0"),("/apis/batch/v1/namespaces/%s/jobs"%here.namespace,"spec.x=0"),("/apis/coordination.k8s.io/v1/leases","spec.x=0"),("/api/v1/persistentvolumeclaims","spec.x=0"),(DEFINITIONS,"spec.x=0"),(here.inferenceservices,"spec.x=0"),("/api/v1/persistentvolumes","name=x"),("/api/v1/persistentvolumeclaims","name=x"),("/api/v1/serviceaccounts","secrets=x")]:
        p("FX %s %r"%(path.replace(here.namespace,'NS'),sel), await api.get(path, fieldSelector=sel))
    for sel in ["x",]:
        pass
    big=str(int(rv)+100000000)
    for params in [dict(resourceVersion=""),dict(resourceVersion="0"),dict(resourceVersion=rv),dict(resourceVersion="1"),dict(resourceVersion="abc"),dict(resourceVersion="-1"),dict(resourceVersion=big),dict(resourceVersionMatch="Exact"),dict(resourceVersionMatch="NotOlderThan"),dict(resourceVersionMatch="Foo"),dict(resourceVersionMatch="Foo",resourceVersion=rv),dict(resourceVersionMatch="Exact",resourceVersion="0"),dict(resourceVersionMatch="Exact",resourceVersion=rv),dict(resourceVersionMatch="Exact",resourceVersion="1"),dict(resourceVersionMatch="Exact",resourceVersion=big),dict(resourceVersionMatch="NotOlderThan",resourceVersion=rv),dict(resourceVersionMatch="NotOlderThan",resourceVersion="0"),dict(resourceVersionMatch="NotOlderThan",resourceVersion="1"),dict(resourceVersionMatch="NotOlderThan",resourceVersion=big),
      dict(limit=2),dict(limit=0),dict(limit=-1),dict(limit="x"),dict(limit=5),dict(limit=2,resourceVersion="0"),dict(limit=2,resourceVersion=rv),dict(limit=2,resourceVersion="1"),dict(limit=2,resourceVersion=rv,resourceVersionMatch="Exact"),dict(limit=2,resourceVersion=rv,resourceVersionMatch="NotOlderThan"),dict(limit=2,labelSelector="i"),dict(limit=2,fieldSelector="metadata.name!=c"),{"continue":"abc"},{"continue":"###"},{"continue":"eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJhXHUwMDAwIn0"}, dict(limit=2,resourceVersionMatch="Foo"),dict(sendInitialEvents=True),dict(sendInitialEvents=True,resourceVersionMatch="NotOlderThan"),dict(timeoutSeconds="x"),dict(timeoutSeconds=-1),dict(watch="maybe"),dict(allowWatchBookmarks="x"),dict(limit=""),dict(resourceVersion=rv+"x"), dict(limit=99999999999999999999)]:
        p("R cm %s"%({k:(v if v not in (rv,big) else 'rv' if v==rv else 'big') for k,v in params.items()}), await api.get(here.configmaps, **params))
        p("R w %s"%({k:(v if v not in (rv,big) else 'rv' if v==rv else 'big') for k,v in params.items()}), await api.get(here.widgets, **params))
    a=await api.get(here.configmaps, limit=2); t=a.meta["continue"]
    import base64
    print(base64.urlsafe_b64decode(t+'=='), file=out)
    for params in [{"limit":2},{},{"limit":2,"resourceVersion":rv},{"resourceVersion":"0"},{"resourceVersion":"1"},{"resourceVersionMatch":"Exact"},{"resourceVersionMatch":"NotOlderThan"},{"labelSelector":"i"},{"resourceVersion":"abc"}]:
        p("C %s"%params, await api.get(here.configmaps, **{"continue":t}, **params))
    p("C other", await api.get(here.widgets, **{"continue":t}))
    acc={"table":TABLE,"pom":"application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io","poml":"application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io","badtable":"application/json;as=Foo;v=v1;g=meta.k8s.io","tablev2":"application/json;as=Table;v=v2;g=meta.k8s.io","fall":"application/json;as=Table;v=v2;g=meta.k8s.io,application/json","xml":"application/xml","tv1beta":"application/json;as=Table;v=v1beta1;g=meta.k8s.io","any":"*/*","app":"application/*","proto":"application/vnd.kubernetes.protobuf,application/json","yaml":"application/yaml"}
    for k,v in acc.items():
        for path in (here.configmaps, here.configmaps+"/a", here.widgets, here.widgets+"/a", here.models, here.models+"/m",here.configmaps+"/none"):
            for inc in (None,"None","Object","Foo"):
                if inc and k!="table": continue
                r=await api.ask("GET", path, headers={"Accept":v}, limit=2, **({"includeObject":inc} if inc else {}))
                print("A",k,inc,path.replace(here.namespace,'NS'),r.status,json.dumps(r.body)[:1500].replace(here.namespace,'NS') if isinstance(r.body,dict) else r.body[:200],r.headers.get("Content-Type"),file=out)
    out.close()
from tests.conformance.client import TABLE
