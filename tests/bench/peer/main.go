// The controller-runtime peer of tests/bench/convergence.py: for every InferenceService of one namespace it
// server-side-applies the same objects as LLMKube does, from templates that were rendered by LLMKube, and one status.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

const manager = "peer"

type reconciler struct {
	client.Client
	templates []string
}

// Reconcile applies every template with the name and uid of the service put in, and the status last.
func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	service := kind("inference.llmkube.dev", "v1alpha1", "InferenceService")
	if err := r.Get(ctx, request.NamespacedName, service); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	fill := strings.NewReplacer("@NAME@", service.GetName(), "@NAMESPACE@", service.GetNamespace(), "@UID@", string(service.GetUID()))
	for _, template := range r.templates {
		object := &unstructured.Unstructured{}
		if err := json.Unmarshal([]byte(fill.Replace(template)), &object.Object); err != nil {
			return ctrl.Result{}, err
		}
		var err error
		if object.GetKind() == "InferenceService" {
			err = r.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.ForceOwnership, client.FieldOwner(manager))
		} else {
			err = r.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.ForceOwnership, client.FieldOwner(manager))
		}
		if err != nil {
			return ctrl.Result{}, err
		}
	}
	return ctrl.Result{}, nil
}

func kind(group, version, name string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(schema.GroupVersionKind{Group: group, Version: version, Kind: name})
	return object
}

func main() {
	namespace := flag.String("namespace", "", "where the services are")
	workers := flag.Int("workers", 1, "reconciles at once; 1 is controller-runtime's default")
	templates := flag.String("templates", "", "a file with one JSON object a line")
	flag.Parse()
	log.SetLogger(zap.New())
	content, err := os.ReadFile(*templates)
	check(err)
	config := ctrl.GetConfigOrDie()
	config.QPS = -1 // no throttle in the client: controller-runtime's default since 0.21
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Cache:   cache.Options{DefaultNamespaces: map[string]cache.Config{*namespace: {}}},
		Metrics: server.Options{BindAddress: "0"},
	})
	check(err)
	// What is owned is cached and watched, as any operator does, but only its deletion is answered: each service is
	// reconciled once, which is the least that there is to do.
	deletions := predicate.Funcs{
		CreateFunc:  func(event.CreateEvent) bool { return false },
		UpdateFunc:  func(event.UpdateEvent) bool { return false },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	check(ctrl.NewControllerManagedBy(manager).
		For(kind("inference.llmkube.dev", "v1alpha1", "InferenceService"), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Owns(kind("apps", "v1", "Deployment"), builder.WithPredicates(deletions)).
		Owns(kind("", "v1", "Service"), builder.WithPredicates(deletions)).
		WithOptions(controller.Options{MaxConcurrentReconciles: *workers}).
		Complete(&reconciler{manager.GetClient(), lines}))
	check(manager.Start(ctrl.SetupSignalHandler()))
}

func check(err error) {
	if err != nil {
		log.Log.Error(err, "the peer cannot go on")
		os.Exit(1)
	}
}
